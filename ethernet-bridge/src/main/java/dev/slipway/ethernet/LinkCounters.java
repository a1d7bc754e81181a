package dev.slipway.ethernet;

/** What a link has carried and dropped. Written by its event loop; others may read numbers that are a moment old. */
public final class LinkCounters {

    private long framesFromGuest;
    private long bytesFromGuest;
    private long framesToGuest;
    private long bytesToGuest;
    private long dropsToGuest;
    private long connections;
    private long oversizeFromGuest;
    private long badLengthsFromGuest;
    private long refusedConnections;
    private long failures;

    void fromGuest(int frameLength) {
        framesFromGuest++;
        bytesFromGuest += frameLength;
    }

    void toGuest(int frameLength) {
        framesToGuest++;
        bytesToGuest += frameLength;
    }

    void dropToGuest() {
        dropsToGuest++;
    }

    void dropToGuest(int frames) {
        dropsToGuest += frames;
    }

    void connection() {
        connections++;
    }

    void skippedOversize() {
        oversizeFromGuest++;
    }

    void lostFraming() {
        badLengthsFromGuest++;
    }

    void refusedConnection() {
        refusedConnections++;
    }

    void failure() {
        failures++;
    }

    public long framesFromGuest() {
        return framesFromGuest;
    }

    public long bytesFromGuest() {
        return bytesFromGuest;
    }

    public long framesToGuest() {
        return framesToGuest;
    }

    public long bytesToGuest() {
        return bytesToGuest;
    }

    /** Frames that found the queue to the guest full, or nobody attached. */
    public long dropsToGuest() {
        return dropsToGuest;
    }

    /** How often a guest has connected. */
    public long connections() {
        return connections;
    }

    /** Frames longer than any can be, which were stepped over; they are not in {@link #framesFromGuest}. */
    public long oversizeFromGuest() {
        return oversizeFromGuest;
    }

    /** Length prefixes that cannot be true; each ended a connection. */
    public long badLengthsFromGuest() {
        return badLengthsFromGuest;
    }

    /** Connections closed because another guest was attached, or because the process had no descriptor for them. */
    public long refusedConnections() {
        return refusedConnections;
    }

    /** Exceptions that came out of the link's receiver: defects of this program, each survived. */
    public long failures() {
        return failures;
    }
}
