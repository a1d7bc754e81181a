package dev.slipway.guest;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * A process that sends back what it gets, on any number of connections: with both ends of ten thousand in one process,
 * its descriptors would not last.
 */
final class EchoServer {

    private static final int BACKLOG = 4_096;
    private static final int ANSWER = 4_096;
    private static final String READY = "port ";

    private EchoServer() {}

    /** Starts one on a machine; it lives as long as the machine. */
    static InetSocketAddress start(Namespace machine, String address, Path log) throws IOException {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        Subprocess process = machine.start(
                log,
                List.of(
                        java,
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        Backend.classPath(),
                        EchoServer.class.getName(),
                        address));
        Await.until("the echo server listens", Duration.ofSeconds(10), () -> {
            if (!process.isAlive()) {
                throw new IOException("the echo server ended: " + process.output());
            }
            return process.output().startsWith(READY) && process.output().endsWith("\n");
        });
        int port = Integer.parseInt(process.output().strip().substring(READY.length()));
        return new InetSocketAddress(address, port);
    }

    /** The process itself; its argument is the address to listen on. */
    public static void main(String[] args) throws IOException {
        Selector selector = Selector.open();
        ServerSocketChannel listener = ServerSocketChannel.open().bind(new InetSocketAddress(args[0], 0), BACKLOG);
        listener.configureBlocking(false).register(selector, SelectionKey.OP_ACCEPT);
        System.out.println(READY + ((InetSocketAddress) listener.getLocalAddress()).getPort());
        ByteBuffer bytes = ByteBuffer.allocateDirect(ANSWER);
        while (true) {
            selector.select(key -> serve(key, selector, bytes));
        }
    }

    private static void serve(SelectionKey key, Selector selector, ByteBuffer bytes) {
        try {
            if (key.isAcceptable()) {
                SocketChannel client = ((ServerSocketChannel) key.channel()).accept();
                if (client != null) {
                    client.configureBlocking(false).register(selector, SelectionKey.OP_READ);
                }
                return;
            }
            SocketChannel client = (SocketChannel) key.channel();
            if (client.read(bytes.clear()) < 0) {
                client.close();
                return;
            }
            bytes.flip();
            while (bytes.hasRemaining()) {
                client.write(bytes);
            }
        } catch (IOException e) {
            key.cancel();
            closeQuietly(key);
        }
    }

    private static void closeQuietly(SelectionKey key) {
        try {
            key.channel().close();
        } catch (IOException e) {
            System.err.println("cannot close: " + e);
        }
    }
}
