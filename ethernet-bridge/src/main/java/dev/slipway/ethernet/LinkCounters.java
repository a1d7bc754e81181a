package dev.slipway.ethernet;

/** What a link has carried and dropped. Written by its event loop; others may read numbers that are a moment old. */
public final class LinkCounters {

    private long framesFromGuest;
    private long bytesFromGuest;
    private long framesToGuest;
    private long bytesToGuest;
    private long dropsToGuest;
    private long connections;

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

    void connection() {
        connections++;
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
}
