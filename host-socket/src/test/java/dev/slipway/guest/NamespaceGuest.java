package dev.slipway.guest;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;

/**
 * A guest with a real Linux kernel, on a {@link HostMachine}: the guest is a network namespace too, whose TAP device is
 * relayed to the backend's socket as QEMU relays its virtio-net device. It has no other way out.
 */
final class NamespaceGuest implements AutoCloseable {

    static final Duration CONNECT = Duration.ofSeconds(5);
    private static final int REPORTED_CHARACTERS = 4_000;
    private static final String GUEST_MAC = "5a:94:ef:e4:0c:ee";

    private final HostMachine machine;
    private final Namespace guest;
    private final TapRelay relay;
    private Lease lease;

    private NamespaceGuest(HostMachine machine) throws IOException {
        this.machine = machine;
        guest = machine.add(Namespace.create("guest"));
        relay = machine.add(new TapRelay(guest.call(() -> LinuxCalls.openTap("eth0"))));
        // A TAP drops what its queue cannot hold, where a virtio ring makes the guest wait: so the queue is long.
        guest.ip("link set eth0 address " + GUEST_MAC + " txqueuelen 20000");
        guest.ip("link set eth0 up");
        relay.captureToFile(CaptureFile.runningTest());
        relay.connect(machine.socket());
    }

    /** Makes all machines, starts the backend with options of its own, and brings the guest's interface up. */
    static NamespaceGuest start(Backend backend, String... options) throws IOException {
        HostMachine machine = HostMachine.start(backend, options);
        try {
            return new NamespaceGuest(machine);
        } catch (IOException | RuntimeException e) {
            machine.close();
            throw e;
        }
    }

    /** Takes a lease with a real DHCP client and sets the guest up with it. */
    Lease lease() throws IOException {
        Path script = Lease.writeScript(machine.directory());
        guest.run(
                        "busybox",
                        "udhcpc",
                        "-i",
                        "eth0",
                        "-f",
                        "-n",
                        "-q",
                        "-t",
                        "10",
                        "-T",
                        "1",
                        "-O",
                        "mtu",
                        "-s",
                        script.toString())
                .orFail();
        lease = Lease.take(machine.directory());
        if (lease.values().containsKey("dns")) {
            guest.nameServers(lease.values().get("dns").split(" "));
        }
        return lease;
    }

    /** Sees to it that the guest has a lease. */
    Lease online() throws IOException {
        return lease != null ? lease : lease();
    }

    /** The guest's cable is pulled and plugged in again; the interface stays as it is. */
    void reconnect() throws IOException {
        relay.disconnect();
        relay.connect(machine.socket());
    }

    /**
     * The backend is killed and another is started in its place; the guest's cable is plugged in again as soon as it is
     * there, as QEMU does it with {@code reconnect}.
     *
     * @return when the other was started, in nanoseconds
     */
    long replaceBackend() throws IOException {
        machine.replaceBackend();
        long started = System.nanoTime();
        relay.disconnect();
        Await.until("a backend to connect to", Duration.ofSeconds(30), () -> {
            try {
                relay.connect(machine.socket());
                return true;
            } catch (SocketException e) {
                // Nobody listens yet on what the other has left behind, or it was just removed.
                return false;
            }
        });
        return started;
    }

    /** Whether the backend lives and frames can go both ways. */
    boolean isLinked() {
        return machine.backend().isAlive() && relay.isConnected();
    }

    /** A TCP connection from the guest to a server on another machine, both ends in the test's hands. */
    Connection connect(Namespace serverMachine, String serverAddress, String addressForGuest) throws IOException {
        try (ServerSocketChannel listener = serverMachine.listen(serverAddress, 0)) {
            int port = ((InetSocketAddress) listener.getLocalAddress()).getPort();
            SocketChannel client = guest.connect(new InetSocketAddress(addressForGuest, port), CONNECT);
            return new Connection(client, listener.accept());
        }
    }

    /** The same to the internet. */
    Connection connectToInternet() throws IOException {
        return connect(internet(), HostMachine.INTERNET, HostMachine.INTERNET);
    }

    Namespace guest() {
        return guest;
    }

    Namespace host() {
        return machine.host();
    }

    Namespace internet() {
        return machine.internet();
    }

    TapRelay relay() {
        return relay;
    }

    Path apiSocket() {
        return machine.apiSocket();
    }

    Subprocess backend() {
        return machine.backend();
    }

    /** What the backend, which must be Slipway, has counted. */
    BackendStatus status() throws IOException {
        return machine.status();
    }

    /** A folder for files that go when the machines go. */
    Path directory() {
        return machine.directory();
    }

    /** The end of what the backend printed, and its counters as far as it still tells them, for a failed test's report. */
    String report() {
        String output = backendOutput();
        String end = output.substring(Math.max(0, output.length() - REPORTED_CHARACTERS));
        try {
            return "the backend's counters: " + status().counts() + "; the end of its output:\n" + end;
        } catch (IOException e) {
            return "the backend does not answer: " + e + "; the end of its output:\n" + end;
        }
    }

    String backendOutput() {
        return machine.backendOutput();
    }

    @Override
    public void close() {
        machine.close();
    }

    /** Both ends of a TCP connection. */
    record Connection(SocketChannel guest, SocketChannel server) implements AutoCloseable {
        @Override
        public void close() throws IOException {
            guest.close();
            server.close();
        }
    }
}
