package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.posix.Errno;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.testing.PacketBuilder;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A running process with a VM on packets that misbehaves, and one on a stream beside it that must not notice. */
@Tag("guest")
@Timeout(60)
class PacketVmTest {

    private static final String GATEWAY = "192.168.65.1";
    private static final PacketBuilder GUEST = PacketBuilder.guest().address("192.168.65.100");
    private static final PacketBuilder OTHER =
            PacketBuilder.guest().mac(0x5254_0011_2233L).address("192.168.65.101");
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final Duration ASK_AGAIN = Duration.ofMillis(500);
    private static final int ARP_OPERATION = 20;
    private static final int ARP_REPLY = 2;
    private static final long MAY_GROW = 32L << 20;

    private final Sockets sockets = Sockets.isSupported() ? new Sockets() : null;
    private final MemorySegment memory = Arena.ofAuto().allocate(1 << 17);
    private final SocketAddress backend = new SocketAddress();
    private HostMachine machine;
    private int fd = -1;

    @BeforeEach
    void start() throws IOException {
        assumeTrue(Backend.chosen() == Backend.SLIPWAY, "peers do not tell what they count");
        assumeTrue(Sockets.isSupported(), "Linux on x86-64 or aarch64");
        machine = HostMachine.startWithoutPrivileges(
                Backend.SLIPWAY, "--vm", "dgram:" + HostMachine.IN_FOLDER + "/packets.sock");
        Path own = machine.directory().resolve("own.sock");
        fd = sockets.open(Sockets.AF_UNIX, Sockets.SOCK_DGRAM);
        assertThat(sockets.bind(fd, new SocketAddress().set(own))).isZero();
        backend.set(machine.directory().resolve("packets.sock"));
    }

    @AfterEach
    void stop() throws IOException {
        if (machine != null) {
            sockets.close(fd);
            assertThat(machine.backend().isAlive()).isTrue();
            assertThat(machine.backend().output()).doesNotContain("ERROR").doesNotContain("LEAK:");
            machine.close();
        }
    }

    private void send(byte[] packet) {
        MemorySegment.copy(packet, 0, memory, ValueLayout.JAVA_BYTE, 0, packet.length);
        int sent = sockets.send(fd, memory, 0, packet.length, backend);
        while (sent == -Errno.EAGAIN) {
            Thread.onSpinWait();
            sent = sockets.send(fd, memory, 0, packet.length, backend);
        }
        assertThat(sent).isEqualTo(packet.length);
    }

    /** Asks for the gateway and reads to its answer: how many packets came before, neighbours' questions left out. */
    private int askGateway() throws IOException {
        byte[] question = PacketBuilder.bytes(GUEST.arpRequest(GATEWAY));
        byte[] packet = new byte[ARP_OPERATION + 2];
        int before = 0;
        while (true) {
            send(question);
            long asked = System.nanoTime();
            // An answer may find the queue full of what was not read yet, so it is asked again.
            while (System.nanoTime() - asked < ASK_AGAIN.toNanos()) {
                int length = sockets.read(fd, memory, 0, memory.byteSize());
                if (length == -Errno.EAGAIN) {
                    Thread.onSpinWait();
                    continue;
                }
                assertThat(length).isGreaterThanOrEqualTo(packet.length);
                MemorySegment.copy(memory, ValueLayout.JAVA_BYTE, 0, packet, 0, packet.length);
                if (!RawGuest.isArp(packet)) {
                    before++;
                } else if (packet[ARP_OPERATION + 1] == ARP_REPLY) {
                    return before;
                }
            }
        }
    }

    private void assertOtherIsServed(RawGuest other) throws IOException {
        long began = System.nanoTime();
        other.send(OTHER.arpRequest(GATEWAY));
        other.receive(RawGuest::isArp);
        assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(Duration.ofSeconds(2));
    }

    @Test
    void vmThatDoesNotReadCostsItsOwnFramesAndNobodyElses() throws IOException {
        byte[] ping =
                PacketBuilder.bytes(GUEST.icmp(GATEWAY).payload(new byte[1_400]).build());
        try (RawGuest other = RawGuest.attach(machine.socket())) {
            assertOtherIsServed(other);
            askGateway();
            long memoryBefore = machine.backend().residentBytes();
            // 28 MiB of pings, none of whose answers is read: more than the kernel and the queue hold.
            for (int i = 0; i < 20_000; i++) {
                send(ping);
                if (i % 4_000 == 0) {
                    assertOtherIsServed(other);
                }
            }
            Await.until(
                    "answers found the queue full", SOON, () -> machine.status().count("guest-queue-full") > 0);
            assertOtherIsServed(other);
            assertThat(machine.backend().residentBytes() - memoryBefore).isLessThan(MAY_GROW);
            assertThat(askGateway()).as("answers that had been queued").isPositive();
        }
    }

    @Test
    void packetsOfAnyBytesAndLengthsDoNoHarm() throws IOException {
        long seed = new Random().nextLong();
        System.out.println("random packets: seed " + seed);
        Random random = new Random(seed);
        try (RawGuest other = RawGuest.attach(machine.socket())) {
            // Its address is its own from now on; the random ones claim others.
            assertOtherIsServed(other);
            byte[] arp = PacketBuilder.bytes(GUEST.arpRequest(GATEWAY));
            askGateway();
            for (int i = 0; i < 20_000; i++) {
                byte[] packet = new byte[random.nextInt(100) == 0 ? random.nextInt(100_000) : random.nextInt(200)];
                random.nextBytes(packet);
                // Half of them look like the guest's frames at first.
                System.arraycopy(
                        arp, 0, packet, 0, random.nextBoolean() ? Math.min(packet.length, random.nextInt(42)) : 0);
                send(packet);
            }
            askGateway();
            assertOtherIsServed(other);
        }
    }
}
