package dev.slipway;

import java.util.Locale;

/** Every setting of {@code run}: its key in a file, which is the flag without its hyphens, and its help. */
enum SettingKey {
    VM(
            "SCHEME:PATH",
            Kind.LIST,
            "Where a VM connects; Slipway creates it. The scheme says how frames come: qemu:PATH is a socket for"
                + " QEMU's -netdev stream, qemu-tcp:[HOST:]PORT the same on TCP, vpnkit:PATH and hyperkit:PATH are"
                + " VPNKit's protocol and gvproxy's, dgram:PATH, vfkit:PATH and bess:PATH carry a frame in each packet"
                + " (Linux), vhost-user:PATH the VM's own memory (Linux), tap:NETNS[/IF] is a TAP device in a network"
                + " namespace, fd:N[/PROTOCOL] a socket that the program was started with, stdio:[PROTOCOL] its"
                + " standard input and output. SCHEME+vnet_hdr has virtio-net headers before frames, SCHEME+offload is"
                + " for krunkit's offloading=on. May be given several times; the VMs are on one network, unless"
                + " --isolate is given."),
    ONE_OFF("", Kind.SWITCH, "Serves each VM until its connection ends, and then ends itself, with exit code 0."),
    API("PATH", Kind.ONE, "Unix socket of the control API (mode 0600). Default: none"),
    PUBLISH(
            "[ADDR:]HOST:GUEST[/udp][@VM]",
            Kind.LIST,
            "Makes a port of the guest one of the host, on localhost unless ADDR says otherwise; ranges like"
                    + " 8000-8010:80-90; 0 for any free port of the host; PATH:GUEST for a Unix socket of the host."),
    PUBLISH_ADDRESS(
            "ADDRESS",
            Kind.ONE,
            "Where published ports listen that name no address. Default: localhost, IPv4 and IPv6"),
    NO_PRESERVE_SOURCE(
            "",
            Kind.SWITCH,
            "The guest sees the gateway as the client of every published port. Default: the client's own IPv4 address,"
                    + " unless it is localhost's or one of the guest's network"),
    DOCKER(
            "unix://PATH",
            Kind.ONE,
            "Socket of a container engine in the VM: the ports that its containers publish become ports of the host."
                    + " Default: none"),
    GUEST_API(
            "",
            Kind.SWITCH,
            "A guest may publish ports of its own on the host's localhost, by gvproxy's HTTP at the gateway's port 80."
                    + " Default: it cannot"),
    NOTIFICATION(
            "unix://PATH",
            Kind.ONE,
            "Somebody's socket that hears of guests that come and go, as gvproxy tells it: a line of JSON for each"
                    + " event, each in a connection of its own. Default: none"),
    MTU("BYTES", Kind.ONE, "Largest IP packet on the guest's link, 576 to 65520. Default: 1500"),
    SUBNET("CIDR", Kind.ONE, "The guest's network. Default: 192.168.65.0/24"),
    GATEWAY_IP("ADDRESS", Kind.ONE, "Router and name server. Default: the subnet's first address"),
    GATEWAY_MAC("MAC", Kind.ONE, "The gateway's MAC address. Default: 5a:94:ef:e4:0c:dd"),
    HOST_IP(
            "ADDRESS",
            Kind.ONE,
            "Stands for the host's localhost, as host.docker.internal. Default: the subnet's last address"),
    NO_HOST_ACCESS(
            "", Kind.SWITCH, "The guest cannot reach the host's localhost. Default: it can, by the host address"),
    ISOLATE("", Kind.SWITCH, "VMs do not see each other. Default: those of one process are on one network"),
    ALLOW_LINK_LOCAL("", Kind.SWITCH, "The guest can reach 169.254.0.0/16. Default: it cannot"),
    POLICY(
            "FILE",
            Kind.ONE,
            "What guests may reach, by rules about addresses, ports and names; the file is followed live. Default:"
                    + " everything that is not closed otherwise"),
    DOMAIN("NAME", Kind.ONE, "Domain that DHCP announces. Default: internal"),
    SEARCH_DOMAIN("NAME", Kind.LIST, "Search domain that DHCP announces, several times if need be. Default: none"),
    IPV6(
            "STATE",
            Kind.ONE,
            "on: the guest gets IPv6, with addresses in fd65::/64; auto: its way out by IPv6 comes and goes with the"
                    + " host's; off: its IPv6 is dropped. Default: auto"),
    UDP_NAT(
            "KIND",
            Kind.ONE,
            "full-cone: one host port per UDP port of the guest, which anyone may send to; symmetric: one per"
                    + " destination, which only that one may answer. Default: full-cone"),
    RELAY(
            "SERVICE",
            Kind.LIST,
            "Guests may look for services of the host's network by this: mdns or ssdp, both if given twice. Default:"
                    + " none; what guests send to groups stays with them"),
    DNS_FOR(
            "DOMAIN=SERVER[#PORT][,...]",
            Kind.LIST,
            "Asks these servers for names of this domain, whatever the host's settings say; several times if need be."
                    + " Default: none"),
    DNS_RECORD(
            "NAME=ADDRESS",
            Kind.LIST,
            "Answers for a name: db.test, *.apps.test, or a regular expression /^n[0-9]+[.]test$/; several times if"
                    + " need be. Default: none"),
    DNS_ZONE(
            "ZONE[=ADDRESS]",
            Kind.LIST,
            "Answers for all names below a domain: with ADDRESS, or that there is no such name; records go before."
                    + " Default: none"),
    DNS_AAAA(
            "KIND",
            Kind.ONE,
            "What questions for IPv6 addresses are answered with: pass, what the host's resolvers say; withhold, none;"
                    + " auto, none while the guest has no way out by IPv6. Default: auto"),
    NO_DNS_CACHE("", Kind.SWITCH, "Asks again for every query. Default: answers are kept for a short time"),
    STATIC_LEASE(
            "MAC=ADDRESS",
            Kind.LIST,
            "Keeps an address of the guest's network for a MAC address; several times if need be. Default: none"),
    LEASE_FILE("FILE", Kind.ONE, "Keeps DHCP leases in a file, so that they survive a restart. Default: none"),
    NTP_SERVER("ADDRESS", Kind.LIST, "Time server that DHCP announces, several times if need be. Default: none"),
    DHCP_ROUTE(
            "CIDR=ROUTER",
            Kind.LIST,
            "Route by another router of the guest's network that DHCP announces; several times if need be. Default:"
                    + " none"),
    TRANSPORT(
            "NAME",
            Kind.ONE,
            "How frames and sockets are moved: auto, native (Linux system calls), epoll, kqueue or nio. Default: auto"),
    CAPTURE(
            "FILE",
            Kind.ONE,
            "Writes the first 128 bytes of each frame to a pcap file (mode 0600), a new one each 64 MiB. Default:"
                    + " none"),
    HTTP_PROXY(
            "URL",
            Kind.ONE,
            "Proxy for plain HTTP: http, https, socks5 or socks5h://[USER:PASSWORD@]HOST:PORT. Programs in the guest"
                    + " need not know of it. Default: none"),
    HTTPS_PROXY("URL", Kind.ONE, "Proxy for TLS, which is asked by name and never opened. Default: none"),
    ALL_PROXY("URL", Kind.ONE, "Proxy for every TCP connection, and in place of the two above. Default: none"),
    NO_PROXY(
            "LIST",
            Kind.LIST,
            "What goes around the proxies: names (and all below them), *.example.com, addresses, networks, each"
                    + " perhaps with :PORT. Default: none"),
    PROXY_CA(
            "FILE",
            Kind.ONE,
            "PEM file of the authorities whose word counts for the certificates of https:// proxies; it is followed"
                    + " live. Default: those that the host trusts"),
    PROXY(
            "env|none",
            Kind.ONE,
            "env: proxies as HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY of the environment say, where nothing else"
                    + " does. Default: none"),
    HTTP("FILE", Kind.ONE, "Proxies as VPNKit's JSON file says; it is followed live. Default: none"),
    TRANSPARENT_HTTP_PORTS("PORTS", Kind.LIST, "Ports on which the guest's plain HTTP is recognised. Default: 80"),
    TRANSPARENT_HTTPS_PORTS("PORTS", Kind.LIST, "Ports on which the guest's TLS is recognised. Default: 443"),
    PROXY_OPAQUE(
            "proxy|direct",
            Kind.ONE,
            "What becomes of bytes on these ports that are neither HTTP nor TLS: a tunnel through the proxy, or direct."
                    + " Default: proxy"),
    ALLOW(
            "LIST",
            Kind.LIST,
            "The only hosts that may be reached on these ports and through the gateway's proxies, as in --no-proxy."
                    + " Default: all"),
    ALLOW_ERROR("TEXT", Kind.ONE, "What an HTTP client is told of other hosts; %s stands for the host."),
    GATEWAY_HTTP_PROXY(
            "PORT", Kind.ONE, "Port of the HTTP proxy that the guest finds on the gateway, 0 for none. Default: 3128"),
    GATEWAY_SOCKS_PROXY("PORT", Kind.ONE, "Port of the SOCKS 5 proxy on the gateway, 0 for none. Default: 1080"),
    MAX_TCP_FLOWS(
            "N",
            Kind.ONE,
            "TCP connections that each VM may have; fewer if the heap has no room for so many. Default: 65536"),
    MAX_HALF_OPEN("N", Kind.ONE, "TCP connections of each VM that may be under way. Default: 2048"),
    MAX_CONNECT_RATE(
            "N",
            Kind.ONE,
            "TCP connections that each VM may begin in a second; a SYN beyond that is dropped. Default: 50000"),
    MAX_UDP_FLOWS("N", Kind.ONE, "UDP ports that each VM may use at a time. Default: 4096"),
    MAX_DNS_QUERIES("N", Kind.ONE, "DNS queries of each VM that may wait for an answer. Default: 4096"),
    SANDBOX(
            "KIND",
            Kind.ONE,
            "auto: once it serves, it takes from itself what a network stack never needs, as far as the kernel can do"
                    + " that (seccomp and Landlock of Linux); strict: all of it before it serves, or it does not start;"
                    + " off. Default: auto"),
    LOG_LEVEL("LEVEL", Kind.ONE, "error, warn, info, debug or trace; the log goes to stderr. Default: info"),
    FAULT("SPEC", Kind.HIDDEN, "Loses, doubles, delays or damages frames, for tests.");

    /** How a key is written. */
    enum Kind {
        ONE,
        LIST,
        SWITCH,
        /** One value, not shown in the help. */
        HIDDEN
    }

    private final String label;
    private final Kind kind;
    private final String help;

    SettingKey(String label, Kind kind, String help) {
        this.label = label;
        this.kind = kind;
        this.help = help;
    }

    /** The key in a file. */
    String key() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    String flag() {
        return "--" + key();
    }

    /** What stands for the value in the help. */
    String label() {
        return label;
    }

    Kind kind() {
        return kind;
    }

    String help() {
        return help;
    }

    /** The key of that name, or {@code null}. */
    static SettingKey named(String name) {
        for (SettingKey key : values()) {
            if (key.key().equals(name)) {
                return key;
            }
        }
        return null;
    }
}
