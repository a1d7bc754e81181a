package dev.slipway.publish;

import dev.slipway.wire.IpAddress;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/**
 * One port that is to be published.
 *
 * @param protocol of the client and the guest
 * @param address the host's address to listen on; empty: localhost, IPv4 and IPv6
 * @param hostPort 0: any that is free
 * @param path the Unix socket to listen on, instead of address and port
 * @param guest the guest's address; empty: that of the VM so named, or of the only one
 * @param guestName the name that a VM gave itself, or the empty string
 * @param guestPort the guest's port
 */
public record PortRequest(
        Protocol protocol,
        Optional<IpAddress> address,
        int hostPort,
        Optional<Path> path,
        Optional<IpAddress> guest,
        String guestName,
        int guestPort) {

    /** What a client speaks. */
    public enum Protocol {
        TCP,
        UDP,
        /** A Unix stream socket of the host, TCP in the guest. */
        UNIX;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    public PortRequest {
        if (protocol == Protocol.UNIX ? path.isEmpty() : path.isPresent()) {
            throw new IllegalArgumentException("a path is for Unix sockets, and only they have one: " + path);
        }
        if (hostPort < 0 || hostPort > 65_535 || guestPort < 1 || guestPort > 65_535) {
            throw new IllegalArgumentException("not a port: " + hostPort + ", " + guestPort);
        }
    }

    /** The same at another port of the host. */
    PortRequest at(int port) {
        return new PortRequest(protocol, address, port, path, guest, guestName, guestPort);
    }

    /** Where it listens, as text: a path, or address and port. */
    public String local() {
        if (path.isPresent()) {
            return path.get().toString();
        }
        return address.map(each -> text(each) + ":").orElse("localhost:") + hostPort;
    }

    /** Where it leads to, as text; the VM's own address is {@code vm}. */
    public String remote() {
        return guest.map(PortRequest::text).orElse(guestName.isEmpty() ? "vm" : guestName) + ":" + guestPort;
    }

    private static String text(IpAddress address) {
        return address.isV4() ? address.toString() : "[" + address + "]";
    }

    static InetSocketAddress socketAddress(IpAddress address, int port) {
        try {
            return new InetSocketAddress(InetAddress.getByAddress(address.toBytes()), port);
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException("an IP address has 4 or 16 bytes: " + address, e);
        }
    }

    @Override
    public String toString() {
        return local() + " -> " + remote() + "/" + protocol;
    }
}
