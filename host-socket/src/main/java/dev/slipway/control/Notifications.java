package dev.slipway.control;

import com.fasterxml.jackson.jr.ob.JSON;
import dev.slipway.event.Event;
import dev.slipway.event.Events;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells somebody's Unix socket of guests that come and go, in gvproxy's words: a connection for each event, in it one
 * line of JSON.
 *
 * <pre>
 *   {"notification_type":"ready"}
 *   {"notification_type":"connection_established","mac_address":"5a:94:ef:e4:0c:ee"}
 *   {"notification_type":"connection_closed","mac_address":"5a:94:ef:e4:0c:ee"}
 * </pre>
 *
 * A thread of its own tells them, so that a listener that hangs holds up nothing else; up to {@value #WAITING} wait, more
 * are dropped and counted. Nobody at the socket is a warning, and the event is lost.
 */
public final class Notifications implements AutoCloseable {

    static final int WAITING = 100;
    private static final Logger LOG = LoggerFactory.getLogger(Notifications.class);

    private final Path socket;
    private final BlockingQueue<String> lines = new ArrayBlockingQueue<>(WAITING);
    private final AtomicLong dropped = new AtomicLong();
    private final Runnable end;
    private final Thread thread;

    private Notifications(Path socket, Events events) {
        this.socket = socket;
        end = events.listen(this::take);
        thread = Thread.ofPlatform().daemon().name("notifications").start(this::run);
    }

    /** Begins to tell. */
    public static Notifications begin(Path socket, Events events) {
        return new Notifications(socket, events);
    }

    /** Events that were dropped because too many waited. */
    public long dropped() {
        return dropped.get();
    }

    /** Events that wait to be told. */
    int waiting() {
        return lines.size();
    }

    private void take(Event event) {
        String type = switch (event.kind()) {
            case READY -> "ready";
            case VM_SEEN -> "connection_established";
            case VM_DETACHED -> "connection_closed";
            default -> null;
        };
        Object mac = event.facts().get("mac");
        if (type == null || event.kind() == Event.Kind.VM_DETACHED && mac == null) {
            return;
        }
        Map<String, Object> notification = new LinkedHashMap<>();
        notification.put("notification_type", type);
        if (mac != null) {
            notification.put("mac_address", mac);
        }
        try {
            if (!lines.offer(JSON.std.asString(notification) + "\n") && dropped.getAndIncrement() == 0) {
                LOG.warn("notifications: {} wait for {}, more are dropped", WAITING, socket);
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private void run() {
        try {
            while (true) {
                tell(lines.take());
            }
        } catch (InterruptedException e) {
            // The end.
            lines.clear();
        }
    }

    private void tell(String line) {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel.connect(UnixDomainSocketAddress.of(socket));
            ByteBuffer bytes = ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        } catch (IOException e) {
            LOG.warn("notifications: {}: {}", socket, String.valueOf(e.getMessage()));
        }
    }

    /** Tells no more; what waits is lost. */
    @Override
    public void close() {
        end.run();
        thread.interrupt();
    }
}
