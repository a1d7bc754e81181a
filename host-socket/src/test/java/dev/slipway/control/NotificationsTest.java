package dev.slipway.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.event.Event;
import dev.slipway.event.Events;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class NotificationsTest {

    private static final String MAC = "5a:94:ef:e4:0c:ee";

    @TempDir
    Path folder;

    private final Events events = new Events();
    private Path socket;
    private ServerSocketChannel listener;
    private Notifications notifications;

    @BeforeEach
    void begin() throws IOException {
        socket = folder.resolve("notify.sock");
        listener = listen();
        notifications = Notifications.begin(socket, events);
    }

    @AfterEach
    void close() throws IOException {
        notifications.close();
        listener.close();
    }

    private ServerSocketChannel listen() throws IOException {
        return ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(UnixDomainSocketAddress.of(socket));
    }

    /** All that one connection brings. */
    private String next() throws IOException {
        try (SocketChannel connection = listener.accept()) {
            ByteArrayOutputStream all = new ByteArrayOutputStream();
            ByteBuffer piece = ByteBuffer.allocate(256);
            while (connection.read(piece.clear()) >= 0) {
                all.write(piece.array(), 0, piece.position());
            }
            return all.toString(StandardCharsets.UTF_8);
        }
    }

    @Test
    void eachEventIsALineInAConnectionOfItsOwn() throws IOException {
        events.tell(Event.Kind.READY, Map.of());
        events.tell(Event.Kind.VM_ATTACHED, Map.of("vm", "a"));
        events.tell(Event.Kind.VM_SEEN, Map.of("vm", "a", "mac", MAC));
        events.tell(Event.Kind.PORT_PUBLISHED, Map.of("local", "localhost:1"));
        events.tell(Event.Kind.VM_DETACHED, Map.of("vm", "a", "reason", "end of stream", "mac", MAC));
        assertThat(next()).isEqualTo("{\"notification_type\":\"ready\"}\n");
        assertThat(next())
                .isEqualTo("{\"notification_type\":\"connection_established\",\"mac_address\":\"" + MAC + "\"}\n");
        assertThat(next()).isEqualTo("{\"notification_type\":\"connection_closed\",\"mac_address\":\"" + MAC + "\"}\n");
    }

    @Test
    void guestThatSaidNothingWasNeverThere() throws IOException {
        events.tell(Event.Kind.VM_DETACHED, Map.of("vm", "a", "reason", "end of stream"));
        events.tell(Event.Kind.READY, Map.of());
        assertThat(next()).contains("ready");
    }

    @Test
    void listenerThatIsAwayMissesWhatHappensAndNoMore() throws IOException {
        listener.close();
        Files.delete(socket);
        // The second is taken when the first was told, that is, lost.
        events.tell(Event.Kind.READY, Map.of());
        events.tell(Event.Kind.READY, Map.of());
        while (notifications.waiting() > 0) {
            Thread.onSpinWait();
        }
        listener = listen();
        events.tell(Event.Kind.VM_SEEN, Map.of("vm", "a", "mac", MAC));
        String heard = next();
        assertThat(heard.contains("ready") ? next() : heard).contains("connection_established");
    }

    @Test
    void eventsThatTooManyWaitForAreDroppedAndCounted() {
        // Nobody accepts; the kernel's queue of the listener and ours fill.
        while (notifications.dropped() == 0) {
            events.tell(Event.Kind.READY, Map.of());
        }
        assertThat(notifications.waiting()).isLessThanOrEqualTo(Notifications.WAITING);
    }
}
