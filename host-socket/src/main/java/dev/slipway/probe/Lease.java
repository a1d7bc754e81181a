package dev.slipway.probe;

import dev.slipway.wire.IpAddress;
import java.util.List;

/**
 * What a DHCP server gave (RFC 2131).
 *
 * @param address the guest's own, in network order
 * @param router the first router, or 0
 * @param nameServers may be empty
 * @param mtu in bytes, or 0 if the server says nothing
 * @param seconds how long it is good for; -1: for ever
 * @param server the server's identifier
 */
record Lease(int address, int netmask, int router, List<Integer> nameServers, int mtu, int seconds, int server) {

    Lease {
        nameServers = List.copyOf(nameServers);
    }

    /** In one line, for people. */
    String describe() {
        StringBuilder text = new StringBuilder(IpAddress.toString(address));
        text.append('/').append(Integer.bitCount(netmask));
        text.append(", router ").append(router == 0 ? "none" : IpAddress.toString(router));
        text.append(", DNS ");
        if (nameServers.isEmpty()) {
            text.append("none");
        }
        for (int i = 0; i < nameServers.size(); i++) {
            text.append(i == 0 ? "" : " ").append(IpAddress.toString(nameServers.get(i)));
        }
        return text.append(", MTU ").append(mtu == 0 ? "not given" : mtu).toString();
    }
}
