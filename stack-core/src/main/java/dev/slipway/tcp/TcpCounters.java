package dev.slipway.tcp;

/** What the TCP connections of a stack have done. Written by the stack's thread, read by others a moment late. */
public final class TcpCounters {

    private long opened;
    private long refused;
    private long resetByGuest;
    private long resetByHost;
    private long abandoned;
    private long fastRetransmits;
    private long timeouts;
    private long tailProbes;
    private long windowProbes;
    private long retransmittedBytes;
    private long challengeAcks;
    private long failures;

    void open() {
        opened++;
    }

    void refuse() {
        refused++;
    }

    void guestReset() {
        resetByGuest++;
    }

    void hostReset() {
        resetByHost++;
    }

    void abandon() {
        abandoned++;
    }

    void fastRetransmit() {
        fastRetransmits++;
    }

    void timeout() {
        timeouts++;
    }

    void tailProbe() {
        tailProbes++;
    }

    void windowProbe() {
        windowProbes++;
    }

    void retransmitted(int bytes) {
        retransmittedBytes += bytes;
    }

    void challenge() {
        challengeAcks++;
    }

    void failure() {
        failures++;
    }

    /** Connections that reached both sides. */
    public long opened() {
        return opened;
    }

    /** Connections that the host could not make. */
    public long refused() {
        return refused;
    }

    public long resetByGuest() {
        return resetByGuest;
    }

    public long resetByHost() {
        return resetByHost;
    }

    /** Connections whose guest stopped answering. */
    public long abandoned() {
        return abandoned;
    }

    public long fastRetransmits() {
        return fastRetransmits;
    }

    public long timeouts() {
        return timeouts;
    }

    public long tailProbes() {
        return tailProbes;
    }

    public long windowProbes() {
        return windowProbes;
    }

    /** Payload bytes that were sent to the guest more than once. */
    public long retransmittedBytes() {
        return retransmittedBytes;
    }

    /** Acknowledgements that answered a suspicious segment (RFC 5961). */
    public long challengeAcks() {
        return challengeAcks;
    }

    /** Connections that were reset because of a defect of ours; each is logged by the owner of the stack. */
    public long failures() {
        return failures;
    }
}
