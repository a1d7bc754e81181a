package dev.slipway.ethernet;

/**
 * What a {@link FaultyLink} does to frames, each direction alike.
 *
 * @param loss share of frames that never arrive, 0 to 1
 * @param duplication share that arrives twice
 * @param corruption share that arrives with one bit turned
 * @param reordering share that arrives 1 to {@link #REORDER_MILLIS} milliseconds late, behind others
 * @param delayMillis how long every frame takes
 * @param seed what decides; the same one gives the same fates to the same frames in the same order
 */
public record Faults(
        double loss, double duplication, double corruption, double reordering, int delayMillis, long seed) {

    /** The most that a reordered frame is late, in milliseconds. */
    public static final int REORDER_MILLIS = 5;

    /** The longest delay, in milliseconds. */
    public static final int MAX_DELAY_MILLIS = 10_000;

    /** Checks the shares and the delay. */
    public Faults {
        share("loss", loss);
        share("duplicate", duplication);
        share("corrupt", corruption);
        share("reorder", reordering);
        if (delayMillis < 0 || delayMillis > MAX_DELAY_MILLIS) {
            throw new IllegalArgumentException("delay=" + delayMillis + ": must be 0 to " + MAX_DELAY_MILLIS);
        }
    }

    private static void share(String key, double value) {
        if (!(value >= 0 && value <= 1)) {
            throw new IllegalArgumentException(key + "=" + value + ": must be 0 to 1");
        }
    }

    /**
     * Reads {@code loss=0.01,duplicate=0.01,corrupt=0,reorder=0.05,delay=20,seed=7}; what is left out is 0.
     *
     * @throws IllegalArgumentException naming the key and its value
     */
    public static Faults parse(String text) {
        double loss = 0;
        double duplication = 0;
        double corruption = 0;
        double reordering = 0;
        int delay = 0;
        long seed = 0;
        for (String part : text.split(",")) {
            int equals = part.indexOf('=');
            String key = equals < 0 ? part : part.substring(0, equals);
            String value = equals < 0 ? "" : part.substring(equals + 1);
            try {
                switch (key) {
                    case "loss" -> loss = Double.parseDouble(value);
                    case "duplicate" -> duplication = Double.parseDouble(value);
                    case "corrupt" -> corruption = Double.parseDouble(value);
                    case "reorder" -> reordering = Double.parseDouble(value);
                    case "delay" -> delay = Integer.parseInt(value);
                    case "seed" -> seed = Long.parseLong(value);
                    default ->
                        throw new IllegalArgumentException(
                                "'" + key + "': must be loss, duplicate, corrupt, reorder, delay or seed");
                }
            } catch (NumberFormatException e) {
                throw new IllegalArgumentException(key + "=" + value + ": not a number", e);
            }
        }
        return new Faults(loss, duplication, corruption, reordering, delay, seed);
    }
}
