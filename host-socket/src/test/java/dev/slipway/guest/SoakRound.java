package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * One round of {@link GuestSoakTest}: some of all that happens to a laptop in an hour. Short connections, ports of UDP with
 * an answer and without, and names in every round; in every fifth the VM restarts, in every tenth the host loses its way
 * out and finds it again, and its resolver becomes another one.
 */
final class SoakRound {

    private static final int CONNECTIONS = 160;
    private static final int ANSWERED_PORTS = 30;
    private static final int UNANSWERED_PORTS = 30;
    private static final int NAMES = 20;
    private static final int PUBLISHED = 5;
    private static final int FIRST_PUBLISHED = 20_000;
    private static final int DISCARD = 9;
    private static final int PATIENCE_MILLIS = 6_000;
    /** An address of the internet that the host reaches by its default route. */
    private static final String FAR = "192.0.2.10";

    private static final byte[] DATAGRAM = new byte[100];

    private final NamespaceGuest machines;
    private int done;

    SoakRound(NamespaceGuest machines) throws IOException {
        this.machines = machines;
        machines.internet().ip("address add " + FAR + "/32 dev lo");
    }

    /** How many rounds are done. */
    int done() {
        return done;
    }

    /** Fails if anything in it does. */
    void run() throws IOException {
        try (ShortConnections connections = ShortConnections.start(machines, CONNECTIONS)) {
            assertThat(connections.join())
                    .as("short connections of round %d", done)
                    .isEqualTo(CONNECTIONS);
        }
        sendDatagrams();
        for (int i = 0; i < NAMES; i++) {
            lookUp("n" + (done * NAMES + i) + ".test");
        }
        publish();
        if (done % 5 == 4) {
            machines.reconnect();
            machines.lease();
        }
        if (done % 10 == 9) {
            loseTheWayOut();
            boolean odd = done / 10 % 2 == 1;
            machines.host().nameServers(odd ? HostMachine.INTERNET : HostMachine.OTHER_NAME_SERVER);
        }
        done++;
    }

    private void sendDatagrams() throws IOException {
        try (DatagramChannel server = machines.internet().datagrams(HostMachine.INTERNET)) {
            server.socket().setSoTimeout(PATIENCE_MILLIS);
            DatagramPacket packet = new DatagramPacket(new byte[DATAGRAM.length], DATAGRAM.length);
            for (int i = 0; i < ANSWERED_PORTS; i++) {
                try (DatagramChannel port = machines.guest().call(DatagramChannel::open)) {
                    port.send(ByteBuffer.wrap(DATAGRAM), server.getLocalAddress());
                    server.socket().receive(packet);
                    server.socket().send(packet);
                    port.socket().setSoTimeout(PATIENCE_MILLIS);
                    port.socket().receive(new DatagramPacket(new byte[DATAGRAM.length], DATAGRAM.length));
                }
            }
        }
        for (int i = 0; i < UNANSWERED_PORTS; i++) {
            try (DatagramChannel port = machines.guest().call(DatagramChannel::open)) {
                port.send(ByteBuffer.wrap(DATAGRAM), new InetSocketAddress(HostMachine.INTERNET, DISCARD));
            }
        }
    }

    /** A query of the guest's, whose answer, of whatever kind, is taken. */
    private void lookUp(String name) throws IOException {
        ByteBuffer query = ByteBuffer.allocate(512);
        query.putShort((short) 7).putShort((short) 0x0100).putShort((short) 1);
        query.putShort((short) 0).putInt(0);
        for (String label : name.split("\\.")) {
            query.put((byte) label.length()).put(label.getBytes(StandardCharsets.US_ASCII));
        }
        query.put((byte) 0).putShort((short) 1).putShort((short) 1).flip();
        try (DatagramChannel port = machines.guest().call(DatagramChannel::open)) {
            port.connect(new InetSocketAddress(Backend.SLIPWAY.gateway(), 53));
            port.write(query);
            port.socket().setSoTimeout(PATIENCE_MILLIS);
            port.socket().receive(new DatagramPacket(new byte[512], 512));
        }
    }

    /** Ports are published, one of them is used, and all are taken back. */
    private void publish() throws IOException {
        try (ServerSocketChannel server = machines.guest().listen("0.0.0.0", 0)) {
            int inGuest = ((InetSocketAddress) server.getLocalAddress()).getPort();
            for (int port = FIRST_PUBLISHED; port < FIRST_PUBLISHED + PUBLISHED; port++) {
                api("POST", "/v1/ports", "{\"ports\":[\"127.0.0.1:" + port + ":" + inGuest + "\"]}");
            }
            try (SocketChannel client =
                            machines.host().connect(new InetSocketAddress("127.0.0.1", FIRST_PUBLISHED), patience());
                    SocketChannel accepted = server.accept()) {
                client.write(ByteBuffer.wrap(DATAGRAM));
                client.shutdownOutput();
                ByteBuffer read = ByteBuffer.allocate(2 * DATAGRAM.length);
                while (accepted.read(read) >= 0) {
                    continue;
                }
                assertThat(read.position()).as("bytes to a published port").isEqualTo(DATAGRAM.length);
            }
            for (int port = FIRST_PUBLISHED; port < FIRST_PUBLISHED + PUBLISHED; port++) {
                api("DELETE", "/v1/ports?local=127.0.0.1:" + port, "");
            }
        }
    }

    private void loseTheWayOut() throws IOException {
        try (ServerSocketChannel server = machines.internet().listen(FAR, 0)) {
            InetSocketAddress address = (InetSocketAddress) server.getLocalAddress();
            machines.host().ip("route del default");
            assertNotConnected(address);
            machines.host().ip("route add default via " + HostMachine.INTERNET);
            machines.guest().connect(address, patience()).close();
        }
    }

    /** Says what became of the connection if there is one: whether the guest's kernel has it, and what reading it gives. */
    private void assertNotConnected(InetSocketAddress address) throws IOException {
        try (SocketChannel connected = machines.guest().connect(address, patience())) {
            String ofKernel = String.join("; ", machines.guest().tcpSockets());
            String read;
            try {
                connected.socket().setSoTimeout(1_000);
                read = "end or byte " + connected.socket().getInputStream().read();
            } catch (IOException e) {
                read = e.toString();
            }
            fail(
                    "round %d: connected without a way: %s; reading: %s; the guest's sockets: %s",
                    done, connected, read, ofKernel);
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("unreachable");
        }
    }

    private void api(String method, String path, String body) throws IOException {
        try (SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            client.connect(UnixDomainSocketAddress.of(machines.apiSocket()));
            client.write(ByteBuffer.wrap((method + " " + path + " HTTP/1.1\r\nHost: slipway\r\nConnection: close\r\n"
                            + "Content-Length: " + body.length() + "\r\n\r\n" + body)
                    .getBytes(StandardCharsets.US_ASCII)));
            ByteBuffer response = ByteBuffer.allocate(1 << 14);
            while (client.read(response) >= 0 && response.hasRemaining()) {
                // Until the server closes.
                continue;
            }
            assertThat(StandardCharsets.UTF_8.decode(response.flip()).toString())
                    .as(method + " " + path)
                    .startsWith("HTTP/1.1 20");
        }
    }

    private static Duration patience() {
        return Duration.ofMillis(PATIENCE_MILLIS);
    }
}
