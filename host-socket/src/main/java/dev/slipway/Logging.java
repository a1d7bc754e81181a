package dev.slipway;

/** Where the log goes and how it looks: stderr, one line each. To be called before anything logs. */
final class Logging {

    private static final String PREFIX = "org.slf4j.simpleLogger.";

    private Logging() {}

    /** Sets the level, {@code error} to {@code trace}, unless a system property has set one already. */
    static void configure(String level) {
        set("defaultLogLevel", level);
        // Whoever has logged before has fixed the default; the level of a name is read when its logger is made.
        set("log.dev.slipway", level);
        form();
        // Netty's reflections on the platform are of no use to who runs a VM.
        set("log.io.netty", level.equals("trace") ? "debug" : "warn");
    }

    /** Sets how a line looks: before anything of a library's that may log is touched. */
    static void form() {
        set("showThreadName", "false");
        set("showShortLogName", "true");
        set("showDateTime", "true");
        set("dateTimeFormat", "HH:mm:ss.SSS");
    }

    private static void set(String key, String value) {
        if (System.getProperty(PREFIX + key) == null) {
            System.setProperty(PREFIX + key, value);
        }
    }
}
