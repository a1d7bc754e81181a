package dev.slipway.host;

import java.io.IOException;
import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.ProtocolFamily;
import java.net.StandardProtocolFamily;
import java.net.UnknownHostException;
import java.nio.channels.DatagramChannel;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * The host's interface by which groups of IPv6 are asked, as it was at most a second ago. For IPv4 the route says which;
 * for IPv6 every interface has one, and the kernel would take any. It is the interface of the host's way to the internet
 * by IPv6 or, if there is none, of that by IPv4 if it has an IPv6 address.
 */
final class GroupInterface {

    static final long MAX_AGE_NANOS = 1_000_000_000L;

    private static final int ANY_PORT = 9;

    /** Addresses that no network has a route of its own for: those of a root name server. */
    private static final InetAddress FAR_V6 =
            address(0x20, 0x01, 0x05, 0x03, 0xBA, 0x3E, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x30);

    private static final InetAddress FAR_V4 = address(198, 41, 0, 4);

    private final Supplier<Optional<NetworkInterface>> source;
    private final LongSupplier clock;
    private Optional<NetworkInterface> found = Optional.empty();
    private boolean known;
    private long lookedAt;

    /**
     * @param source looks at the host
     * @param clock in nanoseconds, never going back
     */
    GroupInterface(Supplier<Optional<NetworkInterface>> source, LongSupplier clock) {
        this.source = source;
        this.clock = clock;
    }

    /** That of this machine. */
    static GroupInterface ofThisHost() {
        return new GroupInterface(GroupInterface::look, System::nanoTime);
    }

    /** Empty: the kernel's choice. */
    Optional<NetworkInterface> get() {
        long now = clock.getAsLong();
        if (!known || now - lookedAt >= MAX_AGE_NANOS) {
            found = source.get();
            lookedAt = now;
            known = true;
        }
        return found;
    }

    private static Optional<NetworkInterface> look() {
        return of(StandardProtocolFamily.INET6, FAR_V6)
                .or(() -> of(StandardProtocolFamily.INET, FAR_V4))
                .filter(each -> each.inetAddresses().anyMatch(Inet6Address.class::isInstance));
    }

    /** The interface from whose address the host would speak to another; connecting a UDP socket sends nothing. */
    private static Optional<NetworkInterface> of(ProtocolFamily family, InetAddress far) {
        try (DatagramChannel channel = DatagramChannel.open(family)) {
            channel.connect(new InetSocketAddress(far, ANY_PORT));
            InetAddress own = ((InetSocketAddress) channel.getLocalAddress()).getAddress();
            boolean isOne = !own.isLoopbackAddress()
                    && !own.isAnyLocalAddress()
                    && (own instanceof Inet4Address) == (far instanceof Inet4Address);
            return isOne ? Optional.ofNullable(NetworkInterface.getByInetAddress(own)) : Optional.empty();
        } catch (IOException | UnsupportedOperationException e) {
            // No way, no such family, or no descriptor left to ask with.
            return Optional.empty();
        }
    }

    private static InetAddress address(int... numbers) {
        byte[] bytes = new byte[numbers.length];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) numbers[i];
        }
        try {
            return InetAddress.getByAddress(bytes);
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException(e);
        }
    }
}
