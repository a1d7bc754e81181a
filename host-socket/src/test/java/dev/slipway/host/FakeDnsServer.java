package dev.slipway.host;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;

/** A DNS server on one address that says what the test wants: the truth, lies, or nothing. */
public final class FakeDnsServer implements AutoCloseable {

    private static final Duration LEAVES_WITHIN = Duration.ofSeconds(5);

    final List<byte[]> queries = new CopyOnWriteArrayList<>();
    final Set<Integer> sourcePorts = ConcurrentHashMap.newKeySet();
    private final DatagramSocket udp;
    private final ServerSocket tcp;
    private final List<Socket> connections = new CopyOnWriteArrayList<>();
    private final List<Thread> threads;
    private final Function<byte[], List<byte[]>> behaviour;

    /**
     * @param address of this machine
     * @param port 0 for any
     * @param behaviour what to send back for a query, in this order; null ends a connection of TCP without an answer
     */
    public FakeDnsServer(String address, int port, Function<byte[], List<byte[]>> behaviour) throws IOException {
        this.behaviour = behaviour;
        InetAddress local = InetAddress.ofLiteral(address);
        tcp = new ServerSocket();
        tcp.setReuseAddress(true);
        tcp.bind(new InetSocketAddress(local, port));
        udp = new DatagramSocket(new InetSocketAddress(local, tcp.getLocalPort()));
        threads = List.of(
                Thread.ofPlatform().daemon().start(this::serveUdp),
                Thread.ofPlatform().daemon().start(this::serveTcp));
    }

    int port() {
        return udp.getLocalPort();
    }

    /** A response with a byte of payload that says who answered. */
    static byte[] response(byte[] query, int rcode, int... payload) {
        byte[] response = Arrays.copyOf(query, query.length + payload.length);
        response[2] |= (byte) 0x80;
        response[3] = (byte) (0x80 | rcode);
        for (int i = 0; i < payload.length; i++) {
            response[query.length + i] = (byte) payload[i];
        }
        return response;
    }

    private void serveUdp() {
        try {
            while (true) {
                DatagramPacket packet = new DatagramPacket(new byte[65_535], 65_535);
                udp.receive(packet);
                sourcePorts.add(packet.getPort());
                byte[] query = Arrays.copyOf(packet.getData(), packet.getLength());
                queries.add(query);
                List<byte[]> responses = behaviour.apply(query);
                if (responses != null) {
                    for (byte[] response : responses) {
                        udp.send(new DatagramPacket(response, response.length, packet.getSocketAddress()));
                    }
                }
            }
        } catch (IOException e) {
            udp.close();
        }
    }

    private void serveTcp() {
        try {
            while (true) {
                Socket socket = tcp.accept();
                connections.add(socket);
                DataInputStream in = new DataInputStream(socket.getInputStream());
                byte[] query = new byte[in.readUnsignedShort()];
                in.readFully(query);
                queries.add(query);
                List<byte[]> responses = behaviour.apply(query);
                if (responses == null) {
                    socket.close();
                    continue;
                }
                DataOutputStream out = new DataOutputStream(socket.getOutputStream());
                for (byte[] response : responses) {
                    out.writeByte(response.length >>> 8);
                    out.flush();
                    out.writeByte(response.length);
                    out.write(response);
                }
            }
        } catch (IOException e) {
            closeConnections();
        }
    }

    private void closeConnections() {
        for (Socket socket : connections) {
            try {
                socket.close();
            } catch (IOException e) {
                continue;
            }
        }
    }

    /** Returns when the ports are free: a socket that a thread waits on is only closed once that thread has left it. */
    @Override
    public void close() throws IOException {
        udp.close();
        tcp.close();
        closeConnections();
        try {
            for (Thread thread : threads) {
                thread.join(LEAVES_WITHIN);
            }
        } catch (InterruptedException e) {
            throw new InterruptedIOException("while a name server of the test was closed");
        }
    }
}
