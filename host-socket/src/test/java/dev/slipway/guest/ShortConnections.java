package dev.slipway.guest;

import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.assertj.core.api.Assertions;

/**
 * Connections that come and go: the guest connects and sends a request; a server of the internet answers with the
 * request repeated and closes; the guest checks the answer to its end and closes. Several at a time.
 */
final class ShortConnections implements AutoCloseable {

    private static final int REQUEST = 64;
    private static final int REPEATED = 16;
    private static final int GUEST_THREADS = 8;

    private final ServerSocketChannel listener;
    private final AtomicLong done = new AtomicLong();
    private final List<Background<Long>> threads = new ArrayList<>();

    private ShortConnections(ServerSocketChannel listener) {
        this.listener = listener;
    }

    /** Begins so many, a multiple of 8. */
    static ShortConnections start(NamespaceGuest machines, int count) throws IOException {
        ShortConnections made = new ShortConnections(machines.internet().listen(HostMachine.INTERNET, 0));
        InetSocketAddress server = (InetSocketAddress) made.listener.getLocalAddress();
        for (int i = 0; i < GUEST_THREADS; i++) {
            made.threads.add(Background.start(new AtomicLong(), made::serve));
            made.threads.add(Background.start(
                    made.done,
                    () -> machines.guest().call(() -> {
                        for (int n = 0; n < count / GUEST_THREADS; n++) {
                            exchange(server);
                            made.done.incrementAndGet();
                        }
                        return 0L;
                    })));
        }
        return made;
    }

    private Long serve() throws IOException {
        long served = 0;
        ByteBuffer request = ByteBuffer.allocate(REQUEST);
        while (listener.isOpen()) {
            try (SocketChannel client = listener.accept()) {
                readFully(client, request.clear());
                for (int i = 0; i < REPEATED; i++) {
                    request.rewind();
                    while (request.hasRemaining()) {
                        client.write(request);
                    }
                }
                served++;
            } catch (ClosedChannelException e) {
                break;
            }
        }
        return served;
    }

    private static void exchange(InetSocketAddress server) throws IOException {
        ByteBuffer request = Payload.next().first(REQUEST);
        ByteBuffer answer = ByteBuffer.allocate(REQUEST);
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.INET)) {
            channel.socket().connect(server, (int) NamespaceGuest.CONNECT.toMillis());
            channel.write(request.duplicate());
            for (int i = 0; i < REPEATED; i++) {
                readFully(channel, answer.clear());
                Assertions.assertThat(answer.flip()).as("the answer").isEqualTo(request);
            }
            Assertions.assertThat(channel.read(answer.clear()))
                    .as("the end of the answer")
                    .isEqualTo(-1);
        }
    }

    private static void readFully(SocketChannel channel, ByteBuffer target) throws IOException {
        while (target.hasRemaining()) {
            if (channel.read(target) < 0) {
                throw new IOException("the stream ended after " + target.position() + " bytes");
            }
        }
    }

    /** How many went well so far. */
    long done() {
        return done.get();
    }

    /** Whether all threads of the guest's side have ended, well or not. */
    boolean isOver() {
        for (int i = 1; i < threads.size(); i += 2) {
            if (!threads.get(i).task().isDone()) {
                return false;
            }
        }
        return true;
    }

    /** Waits for the end and fails as the first failed. */
    long join() throws IOException {
        for (int i = 1; i < threads.size(); i += 2) {
            threads.get(i).join();
        }
        close();
        for (int i = 0; i < threads.size(); i += 2) {
            threads.get(i).join();
        }
        return done.get();
    }

    @Override
    public void close() throws IOException {
        listener.close();
    }
}
