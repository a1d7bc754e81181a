package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.wire.Frame;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;
import org.pcap4j.packet.EthernetPacket;
import org.pcap4j.packet.IpV4Packet;
import org.pcap4j.packet.TcpPacket;

/** Frames to the guest of a stream link: how they are built, cut and queued. */
@Tag("transport")
@Timeout(60)
@ParameterizedClass
@MethodSource("transports")
class StreamLinkOutputTest extends StreamLinkCase {

    @Test
    void largeUnitsAreCutAndPartialChecksumsCompleted() throws Exception {
        try (FakeGuest guest = attach()) {
            byte[] payload = random(60_000, 9);
            Frame unit = SegmenterTest.unit(payload, 0, 12, 1000, 7, TcpSegment.ACK | TcpSegment.PSH, 1)
                    .largeUnit(1448);
            onLoop(() -> {
                send(unit);
                link.flush();
                return null;
            });
            int at = 0;
            while (at < payload.length) {
                byte[] bytes = guest.receive();
                assertThat(bytes.length).isLessThanOrEqualTo(MTU + 14);
                IpV4Packet ip = EthernetPacket.newPacket(bytes, 0, bytes.length).get(IpV4Packet.class);
                TcpPacket tcp = ip.get(TcpPacket.class);
                assertThat(tcp.hasValidChecksum(
                                ip.getHeader().getSrcAddr(), ip.getHeader().getDstAddr(), false))
                        .isTrue();
                assertThat(tcp.getHeader().getSequenceNumber()).isEqualTo(1000 + at);
                byte[] data = Arrays.copyOfRange(bytes, 66, bytes.length);
                assertThat(data).isEqualTo(Arrays.copyOfRange(payload, at, at + data.length));
                at += data.length;
            }
            Frame single = SegmenterTest.unit(random(100, 1), 0, 0, 5, 7, TcpSegment.ACK, 1);
            onLoop(() -> {
                send(single);
                link.flush();
                return null;
            });
            byte[] bytes = guest.receive();
            IpV4Packet ip = EthernetPacket.newPacket(bytes, 0, bytes.length).get(IpV4Packet.class);
            assertThat(ip.get(TcpPacket.class)
                            .hasValidChecksum(
                                    ip.getHeader().getSrcAddr(), ip.getHeader().getDstAddr(), false))
                    .isTrue();
        }
    }

    @Test
    void aFrameThatWasMadeShorterGoesOutAsShort() throws Exception {
        try (FakeGuest guest = attach()) {
            onLoop(() -> {
                link.send(link.begin(1500).length(60));
                link.send(link.begin(40_000).length(61));
                link.send(link.begin(0));
                link.begin(1000);
                link.send(link.begin(62));
                link.flush();
                return null;
            });
            assertThat(guest.receive()).hasSize(60);
            assertThat(guest.receive()).hasSize(61);
            assertThat(guest.receive()).hasSize(0);
            assertThat(guest.receive()).hasSize(62);
        }
    }

    @Test
    void aGuestThatDoesNotReadFillsABoundedQueueAndRecovers() throws Exception {
        try (FakeGuest guest = attach()) {
            int length = 1500;
            int sent = onLoop(() -> {
                int frames = 0;
                while (link.room() > 0) {
                    send(numbered(frames++, length));
                }
                // What cannot wait goes beyond; what goes beyond even that is dropped.
                for (int i = 0; i < 1000; i++) {
                    send(numbered(frames++, length));
                    link.flush();
                }
                return frames;
            });
            long dropped = link.counters().dropsToGuest();
            assertThat(dropped).isGreaterThan(300);
            assertThat(onLoop(() -> link.room())).isLessThanOrEqualTo(0);
            assertThat(receiver.events).isEmpty();

            int expected = 0;
            for (long i = 0; i < sent - dropped; i++) {
                int number = ByteBuffer.wrap(guest.receive()).getInt();
                assertThat(number).isGreaterThanOrEqualTo(expected);
                expected = number + 1;
            }
            assertThat(receiver.nextEvent()).isEqualTo("ready");
            send(random(60, 1));
            assertThat(guest.receive()).isEqualTo(random(60, 1));
            assertThat(link.counters().dropsToGuest()).isEqualTo(dropped);
            assertThat(onLoop(() -> link.room())).isBetween(QueueLimit.LEAST, QueueLimit.MOST);
        }
    }

    @Test
    void framesOfARowLieWhereTheFirstOneSaid() throws Exception {
        StreamLink jumbo = onLoop(() -> new StreamLink(loop, transport, StreamFraming.QEMU, 65_520));
        RecordingReceiver other = new RecordingReceiver();
        Path place = folder.resolve("jumbo.sock");
        jumbo.listen(place, other);
        int length = 65_000;
        int frames = 12;
        try (FakeGuest guest = new FakeGuest(place)) {
            assertThat(other.nextEvent()).isEqualTo("attached");
            int looks = onLoop(() -> {
                int firsts = 0;
                int left = 0;
                MemorySegment bytes = null;
                long at = 0;
                for (int i = 0; i < frames; i++) {
                    Frame frame = jumbo.begin(length);
                    if (left == 0) {
                        firsts++;
                        left = frame.row();
                        bytes = frame.bytes();
                        at = frame.offset();
                        for (int j = 0; j < left && i + j < frames; j++) {
                            MemorySegment.copy(
                                    MemorySegment.ofArray(random(length, i + j)),
                                    0,
                                    bytes,
                                    at + (long) j * frame.distance(),
                                    length);
                        }
                    }
                    assertThat(frame.bytes()).isSameAs(bytes);
                    assertThat(frame.offset()).isEqualTo(at);
                    at += frame.distance();
                    left--;
                    jumbo.send(frame);
                }
                jumbo.flush();
                return firsts;
            });
            assertThat(looks).isEqualTo(1);
            for (int i = 0; i < frames; i++) {
                assertThat(guest.receive()).isEqualTo(random(length, i));
            }
        } finally {
            onLoop(() -> {
                jumbo.close();
                return null;
            });
        }
        assertThat(onLoop(() -> jumbo.isReleased())).isTrue();
    }

    @Test
    void aLargeUnitForWhichThereIsNoRoomIsDroppedWholeAndCountedInSegments() throws Exception {
        try (FakeGuest guest = attach()) {
            long dropped = onLoop(() -> {
                long before = link.counters().dropsToGuest();
                while (link.counters().dropsToGuest() == before) {
                    send(SegmenterTest.unit(new byte[14_600], 0, 0, 1, 1, TcpSegment.ACK, 1)
                            .largeUnit(1460));
                }
                return link.counters().dropsToGuest();
            });
            assertThat(dropped).isEqualTo(10);
        }
    }

    @Test
    void whatIsSentWhileNobodyIsThereIsDroppedAndCounted() throws Exception {
        onLoop(() -> {
            assertThat(link.room()).isZero();
            link.send(link.begin(60));
            link.send(link.begin(60_000));
            link.flush();
            return null;
        });
        assertThat(link.counters().dropsToGuest()).isEqualTo(2);
        assertThat(link.counters().framesToGuest()).isZero();
    }

    @Test
    void whatWasQueuedForOneGuestDoesNotReachTheNext() throws Exception {
        try (FakeGuest guest = attach()) {
            onLoop(() -> {
                while (link.room() > 0) {
                    send(new byte[1500]);
                }
                link.flush();
                return null;
            });
        }
        assertThat(receiver.nextEvent()).startsWith("detached: ");
        try (FakeGuest guest = attach()) {
            send(random(60, 8));
            assertThat(guest.receive()).isEqualTo(random(60, 8));
            assertThat(onLoop(() -> link.room())).isEqualTo(QueueLimit.LEAST);
        }
    }

    private static byte[] numbered(int number, int length) {
        return ByteBuffer.allocate(length).putInt(number).array();
    }
}
