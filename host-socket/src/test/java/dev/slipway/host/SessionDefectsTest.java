package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.LocalNames;
import dev.slipway.egress.EgressPolicy;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.ethernet.Transport;
import dev.slipway.event.Events;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.Frame;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A defect of ours costs what it was about, is counted, and nothing else. */
@Timeout(20)
final class SessionDefectsTest {

    private static final String GATEWAY = "192.168.65.1";

    @TempDir
    Path folder;

    private final PacketBuilder guest = PacketBuilder.guest();
    private final BreakableLink link = new BreakableLink();
    private MultiThreadIoEventLoopGroup group;
    private EventLoop loop;
    private VmSession session;
    private GuestLink.Receiver receiver;

    @BeforeEach
    void start() throws Exception {
        Transport transport = Transport.best();
        NetworkSettings settings = new NetworkSettings(
                StackSettings.defaults(),
                HostPolicy.defaults(),
                folder.resolve("resolv.conf"),
                transport,
                List.of(folder.resolve("vm.sock")));
        group = EventLoops.single(transport, "vm-under-test");
        loop = group.next();
        LeaseTable leases = new LeaseTable(settings.stack());
        LocalNames names = new LocalNames(settings.stack(), leases);
        session = new VmSession(
                "test", settings, loop, link, leases, names, settings::proxies, () -> EgressPolicy.OPEN, new Events());
        receiver = session.receiver();
        onLoop(receiver::attached);
    }

    @AfterEach
    void stop() throws Exception {
        session.close();
        group.shutdownGracefully(0, 5, TimeUnit.SECONDS).await(10, TimeUnit.SECONDS);
    }

    private void onLoop(Runnable task) throws Exception {
        loop.submit(task).get(10, TimeUnit.SECONDS);
        // The end of the turn was queued behind the task.
        loop.submit(() -> {}).get(10, TimeUnit.SECONDS);
    }

    /** One batch of two questions for the gateway's address. */
    private void askTwice() throws Exception {
        onLoop(() -> {
            receiver.frame(PacketBuilder.frame(guest.arpRequest(GATEWAY)));
            receiver.frame(PacketBuilder.frame(guest.arpRequest(GATEWAY)));
            receiver.endOfBatch();
        });
    }

    @Test
    void anExceptionOutOfTheStackCostsOneFrameAndIsCounted() throws Exception {
        link.failBegins = 1;
        askTwice();
        assertThat(link.sent).as("answers").isEqualTo(1);
        assertThat(session.hostCounters().stackFailures()).isEqualTo(1);
        askTwice();
        assertThat(link.sent).as("answers").isEqualTo(3);
        assertThat(session.hostCounters().stackFailures()).isEqualTo(1);
    }

    @Test
    void everyOneIsCountedHoweverMany() throws Exception {
        link.failBegins = 1_000;
        for (int i = 0; i < 500; i++) {
            askTwice();
        }
        assertThat(session.hostCounters().stackFailures()).isEqualTo(1_000);
        askTwice();
        assertThat(link.sent).as("answers").isEqualTo(2);
    }

    @Test
    void anExceptionAtTheEndOfATurnDoesNotEndTheTurnsThatFollow() throws Exception {
        link.failFlushes = 1;
        askTwice();
        assertThat(session.hostCounters().stackFailures()).isEqualTo(1);
        assertThat(link.flushed).isZero();
        askTwice();
        assertThat(link.flushed).isEqualTo(4);
    }

    /** A link that fails as often as it is told to, and counts what it is given. */
    private static final class BreakableLink implements GuestLink {

        private final LinkCounters counters = new LinkCounters();
        private final MemorySegment memory = Arena.ofAuto().allocate(Frame.MAX_LENGTH);
        private final Frame frame = new Frame();
        private volatile int failBegins;
        private volatile int failFlushes;
        private volatile int sent;
        private volatile int flushed;

        @Override
        public int room() {
            return 1 << 20;
        }

        @Override
        public Frame begin(int capacity) {
            if (failBegins > 0) {
                failBegins--;
                throw new IllegalStateException("a defect for a test");
            }
            return frame.set(memory, 0, capacity);
        }

        @Override
        public void send(Frame given) {
            sent++;
        }

        @Override
        public void flush() {
            if (failFlushes > 0) {
                failFlushes--;
                throw new IllegalStateException("a defect for a test");
            }
            flushed = sent;
        }

        @Override
        public boolean isAttached() {
            return true;
        }

        @Override
        public LinkCounters counters() {
            return counters;
        }

        @Override
        public void close() {}
    }
}
