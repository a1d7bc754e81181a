package dev.slipway.wire;

/** Why something a guest sent went no further. Each has a counter; {@link #label} is its name wherever it is shown. */
public enum DropReason {
    /** Not a drop: the bytes were accepted. */
    NONE("none"),

    RUNT("runt"),
    OVERSIZE("oversize"),
    ETHERTYPE("ethertype"),
    SOURCE_MAC("source-mac"),
    SPOOF("spoof"),
    NOT_FOR_US("not-for-us"),
    OFFLOAD("offload"),
    /** A source address beyond those that one VM may use. */
    MAC_LIMIT("mac-limit"),
    /** A frame to another VM, whose queue has no room for it. */
    SWITCH_FULL("switch-full"),

    ARP("arp"),

    IP_VERSION("ip-version"),
    IP_HEADER("ip-header"),
    IP_TRUNCATED("ip-truncated"),
    CHECKSUM("checksum"),
    TTL("ttl"),
    SOURCE_ROUTE("source-route"),
    IP_EXTENSIONS("ip-extensions"),
    MARTIAN("martian"),
    DESTINATION("destination"),
    PROTOCOL("protocol"),
    IPV6_OFF("ipv6-off"),

    FRAGMENT("fragment"),
    FRAGMENT_OVERLAP("fragment-overlap"),
    FRAGMENT_LIMIT("fragment-limit"),
    FRAGMENT_TIMEOUT("fragment-timeout"),

    ICMP("icmp"),
    ICMP_RATE("icmp-rate"),
    /** An echo request to the outside that the host could not send. */
    ICMP_HOST("icmp-host"),
    ROGUE_RA("rogue-ra"),
    /** A message of neighbour discovery that cannot be one. */
    NEIGHBOUR("neighbour"),
    NEIGHBOUR_LIMIT("neighbour-limit"),
    /** A question of neighbour discovery that came too soon after many others. */
    NEIGHBOUR_RATE("neighbour-rate"),
    ICMP_FLOW_LIMIT("icmp-flow-limit"),

    UDP("udp"),
    UDP_FLOW_LIMIT("udp-flow-limit"),
    UDP_HOST("udp-host"),
    /** A datagram from the host, with symmetric NAT, from someone to whom the guest did not send. */
    UDP_STRANGER("udp-stranger"),

    TCP_HEADER("tcp-header"),
    TCP_OPTIONS("tcp-options"),
    TCP_FLAGS("tcp-flags"),
    TCP_NO_CONNECTION("tcp-no-connection"),
    TCP_OUT_OF_WINDOW("tcp-out-of-window"),
    TCP_ACK_UNSENT("tcp-ack-unsent"),
    TCP_RST_OUT_OF_WINDOW("tcp-rst-out-of-window"),
    TCP_REASSEMBLY_LIMIT("tcp-reassembly-limit"),
    TCP_FLOW_LIMIT("tcp-flow-limit"),
    TCP_HALF_OPEN_LIMIT("tcp-half-open-limit"),
    /** A SYN that came too soon after many others. */
    TCP_CONNECT_RATE("tcp-connect-rate"),

    DHCP("dhcp"),
    DHCP_POOL("dhcp-pool"),
    /** What only a server says or hears, from one VM to another. */
    ROGUE_DHCP("rogue-dhcp"),
    DNS("dns"),
    DNS_LIMIT("dns-limit"),

    GUEST_QUEUE_FULL("guest-queue-full");

    private final String label;

    DropReason(String label) {
        this.label = label;
    }

    /** The counter's name: lower case, words joined by hyphens. */
    public String label() {
        return label;
    }
}
