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
    private long badOffloads;
    private long failedHandshakes;
    private long brokenRings;

    /** A frame came from the guest. */
    public void fromGuest(int frameLength) {
        framesFromGuest++;
        bytesFromGuest += frameLength;
    }

    /** A frame went to the guest. */
    public void toGuest(int frameLength) {
        framesToGuest++;
        bytesToGuest += frameLength;
    }

    /** A frame to the guest was dropped. */
    public void dropToGuest() {
        dropsToGuest++;
    }

    /** Frames to the guest were dropped. */
    public void dropToGuest(int frames) {
        dropsToGuest += frames;
    }

    /** A frame that was counted as gone to the guest was dropped after all. */
    void lostToGuest(int frameLength) {
        framesToGuest--;
        bytesToGuest -= frameLength;
        dropsToGuest++;
    }

    /** A guest attached. */
    public void connection() {
        connections++;
    }

    /** A frame that is too long was stepped over. */
    public void skippedOversize() {
        oversizeFromGuest++;
    }

    /** What the guest sends cannot be told into frames any more. */
    public void lostFraming() {
        badLengthsFromGuest++;
    }

    /** A connection was refused. */
    public void refusedConnection() {
        refusedConnections++;
    }

    /** A connection ended in its handshake. */
    public void failedHandshake() {
        failedHandshakes++;
    }

    /** The receiver threw. */
    public void failure() {
        failures++;
    }

    /** The guest wrote into a ring what cannot be. */
    public void brokenRing() {
        brokenRings++;
    }

    /** A frame came with offload fields that cannot be. */
    public void badOffload() {
        badOffloads++;
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

    /** Connections that ended before they were a guest's: refused, too slow, or given up in the handshake. */
    public long failedHandshakes() {
        return failedHandshakes;
    }

    /** Exceptions that came out of the link's receiver: defects of this program, each survived. */
    public long failures() {
        return failures;
    }

    /** Frames whose virtio-net header contradicts itself, the frame, or what was agreed; each was dropped. */
    public long badOffloadsFromGuest() {
        return badOffloads;
    }

    /** Rings of vhost-user whose contents could not be; each was left alone until it was started anew. */
    public long brokenRings() {
        return brokenRings;
    }
}
