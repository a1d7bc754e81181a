package dev.slipway.tcp;

/** Where a connection stands (RFC 9293, section 3.3.2); the closing states are in the two directions. */
enum TcpState {
    /** The guest's SYN is held back until the host's connect has ended. */
    CONNECTING,
    /** Our SYN-ACK is on its way. */
    SYN_RECEIVED,
    /** Our SYN is on its way. */
    SYN_SENT,
    OPEN,
    /** Both ends are acknowledged; only lost acknowledgements are repeated. */
    TIME_WAIT,
    CLOSED
}
