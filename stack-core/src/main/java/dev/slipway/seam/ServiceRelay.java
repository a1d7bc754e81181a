package dev.slipway.seam;

/**
 * Questions for services that a guest may send to a group of the host's network, if that is switched on. Answers come
 * from each service by itself, to the port that asked; what a group is told unasked does not reach the guest.
 */
public enum ServiceRelay {
    /**
     * Multicast DNS, 224.0.0.251 and ff02::fb (RFC 6762, section 3; section 6.7: a question from another port than its own
     * is answered by unicast).
     */
    MDNS("mdns", 5353, 0xE000_00FB, 0xFB, 0xFF02L << 48),
    /**
     * The discovery of UPnP devices, 239.255.255.250, ff02::c and ff05::c (UPnP Device Architecture 2.0, section 1.3 and
     * annex A).
     */
    SSDP("ssdp", 1900, 0xEFFF_FFFA, 0xC, 0xFF02L << 48, 0xFF05L << 48);

    private final String label;
    private final int port;
    private final int group;
    private final long low;
    private final long[] scopes;

    /**
     * @param group its IPv4 group in network order
     * @param low the last 64 bits of its IPv6 groups
     * @param scopes the first 64 bits of each
     */
    ServiceRelay(String label, int port, int group, long low, long... scopes) {
        this.label = label;
        this.port = port;
        this.group = group;
        this.low = low;
        this.scopes = scopes;
    }

    /** What it is called in settings. */
    public String label() {
        return label;
    }

    /** Whether an IPv4 address in network order is its group. */
    public boolean isGroup(int address) {
        return address == group;
    }

    /** Whether an IPv6 address, by its first and last 64 bits, is one of its groups. */
    public boolean isGroup(long addressHigh, long addressLow) {
        if (addressLow == low) {
            for (long scope : scopes) {
                if (scope == addressHigh) {
                    return true;
                }
            }
        }
        return false;
    }

    /** The UDP port of its groups. */
    public int port() {
        return port;
    }
}
