package dev.slipway.seam;

/** Which port of the host stands for a guest's UDP port, and from whom it takes datagrams (RFC 4787, sections 4 and 5). */
public enum UdpNat {
    /** One port for all that the guest sends to, and anyone may send back: endpoint-independent mapping and filtering. */
    FULL_CONE,
    /** A port for each destination, and only that one may answer: address and port-dependent mapping and filtering. */
    SYMMETRIC
}
