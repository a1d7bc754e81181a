package dev.slipway.host;

import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.nio.channels.DatagramChannel;
import java.util.function.LongSupplier;

/**
 * Whether this host has a way to the internet by IPv6, as it was at most a second ago. The kernel is asked for its route
 * to an address of the global unicast range (2000::/3) by connecting a UDP socket, which sends nothing: so routes, VPNs
 * and interfaces that come and go are all seen, on every system.
 */
final class Ipv6Way {

    static final long MAX_AGE_NANOS = 1_000_000_000L;

    /** A root name server's address: one that no network has a route of its own for. */
    private static final byte[] FAR = {0x20, 0x01, 0x05, 0x03, (byte) 0xBA, 0x3E, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x30};

    private static final int ANY_PORT = 9;

    /** Looks at the host. */
    interface Source {
        /** @param before what was found the last time, and holds if nothing can be found out now */
        boolean isThere(boolean before);
    }

    private final Source source;
    private final LongSupplier clock;
    private boolean known;
    private boolean there;
    private long lookedAt;

    /**
     * @param source looks
     * @param clock in nanoseconds, never going back
     */
    Ipv6Way(Source source, LongSupplier clock) {
        this.source = source;
        this.clock = clock;
    }

    /** That of this machine. */
    static Ipv6Way ofThisHost() {
        return new Ipv6Way(Ipv6Way::look, System::nanoTime);
    }

    boolean isThere() {
        long now = clock.getAsLong();
        if (!known || now - lookedAt >= MAX_AGE_NANOS) {
            there = source.isThere(there);
            lookedAt = now;
            known = true;
        }
        return there;
    }

    private static boolean look(boolean before) {
        try (DatagramChannel channel = DatagramChannel.open(StandardProtocolFamily.INET6)) {
            return hasRoute(channel);
        } catch (UnsupportedOperationException e) {
            // A system without IPv6.
            return false;
        } catch (IOException e) {
            // No descriptor is left to ask with.
            return before;
        }
    }

    private static boolean hasRoute(DatagramChannel channel) {
        try {
            channel.connect(new InetSocketAddress(InetAddress.getByAddress(FAR), ANY_PORT));
            InetAddress own = ((InetSocketAddress) channel.getLocalAddress()).getAddress();
            return own instanceof Inet6Address && !own.isLoopbackAddress() && !own.isLinkLocalAddress();
        } catch (IOException e) {
            return false;
        }
    }
}
