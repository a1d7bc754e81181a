package dev.slipway.seam;

import dev.slipway.wire.DnsMessage;

/** Answers DNS queries that the stack's own zones do not: the host's resolvers, asked on the guest's behalf. */
public interface NameResolver {

    /**
     * Asks. The answer comes later on the thread that owns the stack, exactly once, never from within this call: what
     * the resolver said, byte for byte but for the id; or SERVFAIL if none said anything in time; or REFUSED if too
     * many queries are outstanding.
     *
     * @param query parsed, and not to be read any more after this call; {@link DnsMessage#own} of it may be kept
     * @param stream whether the guest asked over TCP, so that an answer may be up to 65,535 bytes long
     */
    void resolve(DnsMessage query, boolean stream, Answer answer);

    /** Where an answer goes; the array is its own from then on. */
    interface Answer {
        void answered(byte[] response);
    }
}
