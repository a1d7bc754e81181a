package dev.slipway.host;

import dev.slipway.wire.IpAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.util.HashSet;
import java.util.Set;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * The addresses of the host's own interfaces, at most a second old. Asking the kernel takes milliseconds where there
 * are hundreds of interfaces, so it is not done per packet.
 */
final class HostInterfaces {

    static final long MAX_AGE_NANOS = 1_000_000_000L;

    private final Supplier<Set<IpAddress>> source;
    private final LongSupplier clock;
    private Set<IpAddress> addresses;
    private long readAt;

    /**
     * @param source reads the addresses
     * @param clock in nanoseconds, never going back
     */
    HostInterfaces(Supplier<Set<IpAddress>> source, LongSupplier clock) {
        this.source = source;
        this.clock = clock;
    }

    /** Those of this machine. */
    static HostInterfaces ofThisHost() {
        return new HostInterfaces(HostInterfaces::read, System::nanoTime);
    }

    boolean contains(IpAddress address) {
        return addresses().contains(address);
    }

    /** All of them; the same object until it is read again. */
    Set<IpAddress> addresses() {
        long now = clock.getAsLong();
        if (addresses == null || now - readAt >= MAX_AGE_NANOS) {
            addresses = source.get();
            readAt = now;
        }
        return addresses;
    }

    private static Set<IpAddress> read() {
        Set<IpAddress> found = new HashSet<>();
        try {
            NetworkInterface.networkInterfaces()
                    .flatMap(NetworkInterface::inetAddresses)
                    .forEach(address -> found.add(IpAddress.ofBytes(address.getAddress())));
        } catch (SocketException e) {
            // A host without any interface: it has no address of its own to protect.
            return Set.of();
        }
        return found;
    }
}
