package dev.slipway;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.net.Inet4Address;
import java.net.InterfaceAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.List;

/** Finds networks of the host that a guest's network would hide from the guest. */
final class SubnetOverlap {

    private SubnetOverlap() {}

    /** The host's interfaces whose network overlaps, as {@code eth0 192.168.65.7/24}. */
    static List<String> find(StackSettings stack) {
        List<String> overlaps = new ArrayList<>();
        try {
            for (NetworkInterface each : NetworkInterface.networkInterfaces().toList()) {
                for (InterfaceAddress address : each.getInterfaceAddresses()) {
                    if (address.getAddress() instanceof Inet4Address v4 && overlaps(stack, v4, address)) {
                        overlaps.add(
                                each.getName() + " " + v4.getHostAddress() + "/" + address.getNetworkPrefixLength());
                    }
                }
            }
        } catch (SocketException e) {
            // The host tells nothing of its interfaces: there is nothing to warn of.
            return List.of();
        }
        return overlaps;
    }

    private static boolean overlaps(StackSettings stack, Inet4Address v4, InterfaceAddress address) {
        int shorter = Math.min(stack.prefixLength(), address.getNetworkPrefixLength());
        int mask = shorter == 0 ? 0 : -1 << (32 - shorter);
        int own = IpAddress.ofBytes(v4.getAddress()).v4();
        return (own & mask) == (stack.network() & mask);
    }
}
