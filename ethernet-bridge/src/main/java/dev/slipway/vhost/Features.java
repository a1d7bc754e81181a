package dev.slipway.vhost;

/** Bits of what can be agreed: the device's (virtio 1.3, sections 5.1.3 and 6) and the protocol's (vhost-user.rst). */
final class Features {

    /** The guest may leave checksums partial. */
    static final long CSUM = 1L;
    /** The guest takes partial checksums. */
    static final long GUEST_CSUM = 1L << 1;
    /** The guest takes large TCP units. */
    static final long GUEST_TSO4 = 1L << 7;

    static final long GUEST_TSO6 = 1L << 8;
    /** The guest may send large TCP units. */
    static final long HOST_TSO4 = 1L << 11;

    static final long HOST_TSO6 = 1L << 12;
    /** A frame to the guest may lie in several of its buffers. */
    static final long MRG_RXBUF = 1L << 15;

    static final long INDIRECT_DESC = 1L << 28;
    static final long EVENT_IDX = 1L << 29;
    /** There are protocol features, and rings begin disabled. */
    static final long PROTOCOL_FEATURES = 1L << 30;

    static final long VERSION_1 = 1L << 32;

    /** All that this back-end does. */
    static final long OFFERED = CSUM
            | GUEST_CSUM
            | GUEST_TSO4
            | GUEST_TSO6
            | HOST_TSO4
            | HOST_TSO6
            | MRG_RXBUF
            | INDIRECT_DESC
            | EVENT_IDX
            | PROTOCOL_FEATURES
            | VERSION_1;

    /** What asks for an announcement of the guest's address is taken. */
    static final long PROTOCOL_RARP = 1L << 2;

    static final long PROTOCOL_REPLY_ACK = 1L << 3;
    static final long PROTOCOL_NET_MTU = 1L << 4;
    /** A socket for requests of the back-end's is taken; nothing is ever sent on it. User Mode Linux needs it. */
    static final long PROTOCOL_BACKEND_REQ = 1L << 5;
    /** Regions of memory come and go one by one. */
    static final long PROTOCOL_CONFIGURE_MEM_SLOTS = 1L << 15;

    /** All that this back-end does. */
    static final long PROTOCOL_OFFERED =
            PROTOCOL_RARP | PROTOCOL_REPLY_ACK | PROTOCOL_NET_MTU | PROTOCOL_BACKEND_REQ | PROTOCOL_CONFIGURE_MEM_SLOTS;

    private Features() {}
}
