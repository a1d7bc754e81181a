package dev.slipway.seam;

/**
 * Questions for services that a guest may send to a group of the host's network, if that is switched on. Answers come
 * from each service by itself, to the port that asked; what a group is told unasked does not reach the guest.
 */
public enum ServiceRelay {
    /** Multicast DNS (RFC 6762, section 6.7: a question from another port than its own is answered by unicast). */
    MDNS("mdns", 0xE000_00FB, 5353),
    /** The discovery of UPnP devices (UPnP Device Architecture 2.0, section 1.3). */
    SSDP("ssdp", 0xEFFF_FFFA, 1900);

    private final String label;
    private final int group;
    private final int port;

    ServiceRelay(String label, int group, int port) {
        this.label = label;
        this.group = group;
        this.port = port;
    }

    /** What it is called in settings. */
    public String label() {
        return label;
    }

    /** The IPv4 group in network order. */
    public int group() {
        return group;
    }

    /** The UDP port of the group. */
    public int port() {
        return port;
    }
}
