package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.Ipv6Packet;
import dev.slipway.wire.TcpSegment;
import dev.slipway.wire.UdpDatagram;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.pcap4j.packet.EthernetPacket;
import org.pcap4j.packet.IpV4Packet;
import org.pcap4j.packet.TcpPacket;
import org.pcap4j.packet.UdpPacket;

class SegmenterTest {

    private static final int GUEST = 0xC0A8_4103;
    private static final int HOST = 0x5DB8_D822;
    private static final int OFFSET = 10;

    private final Segmenter segmenter = new Segmenter();
    private final Frame frame = new Frame();

    @Property(tries = 300)
    void everySegmentIsWhatATcpWouldHaveSent(
            @ForAll @IntRange(min = 1, max = 65_000) int payloadLength,
            @ForAll @IntRange(min = 88, max = 9_000) int segmentSize,
            @ForAll @IntRange(max = 10) int ipOptionWords,
            @ForAll @IntRange(max = 10) int tcpOptionWords,
            @ForAll int sequence,
            @ForAll @IntRange(max = 0xFFFF) int identification,
            @ForAll long seed)
            throws Exception {
        int flags = TcpSegment.ACK | TcpSegment.PSH | TcpSegment.FIN;
        byte[] payload = new byte[Math.min(payloadLength, 65_535 - 60 - 60)];
        new Random(seed).nextBytes(payload);
        Frame unit = unit(payload, ipOptionWords * 4, tcpOptionWords * 4, sequence, identification, flags, seed)
                .largeUnit(segmentSize);

        List<byte[]> segments = cut(unit);

        assertThat(segments).hasSize(Math.max(1, (payload.length + segmentSize - 1) / segmentSize));
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        byte[] tcpOptions = null;
        for (int i = 0; i < segments.size(); i++) {
            byte[] bytes = segments.get(i);
            boolean last = i == segments.size() - 1;
            IpV4Packet ip = EthernetPacket.newPacket(bytes, 0, bytes.length).get(IpV4Packet.class);
            TcpPacket tcp = ip.get(TcpPacket.class);
            assertThat(ip.getHeader().hasValidChecksum(false)).isTrue();
            assertThat(tcp.hasValidChecksum(
                            ip.getHeader().getSrcAddr(), ip.getHeader().getDstAddr(), false))
                    .isTrue();
            assertThat(ip.getHeader().getTotalLengthAsInt()).isEqualTo(bytes.length - EthernetFrame.HEADER_LENGTH);
            assertThat(ip.getHeader().getIdentificationAsInt()).isEqualTo((identification + i) & 0xFFFF);
            assertThat(tcp.getHeader().getSequenceNumber()).isEqualTo(sequence + i * segmentSize);
            assertThat(tcp.getHeader().getFin()).isEqualTo(last);
            assertThat(tcp.getHeader().getPsh()).isEqualTo(last);
            assertThat(tcp.getHeader().getAck()).isTrue();
            int tcpAt = bytes.length - tcp.length();
            byte[] options = Arrays.copyOfRange(bytes, tcpAt + 20, tcpAt + 20 + tcpOptionWords * 4);
            assertThat(options).isEqualTo(tcpOptions == null ? options : tcpOptions);
            tcpOptions = options;
            byte[] data = Arrays.copyOfRange(bytes, tcpAt + 20 + tcpOptionWords * 4, bytes.length);
            assertThat(data.length).isEqualTo(last ? payload.length - i * segmentSize : segmentSize);
            joined.write(data);
        }
        assertThat(joined.toByteArray()).isEqualTo(payload);
    }

    @Test
    void onlyTheFirstSegmentSaysThatTheCongestionWindowWasReduced() {
        Frame unit = unit(new byte[3000], 0, 0, 1, 1, TcpSegment.ACK | 0x80, 1).largeUnit(1460);

        List<byte[]> segments = cut(unit);

        assertThat(segments).extracting(s -> s[47] & 0x80).containsExactly(0x80, 0, 0);
    }

    @Test
    void aFrameThatNeedsNothingIsNotTouched() {
        Frame unit = unit(new byte[100], 0, 0, 1, 1, TcpSegment.ACK, 1);
        byte[] before = bytes(unit);
        frame.set(unit.bytes(), unit.offset(), unit.length());

        assertThat(segmenter.begin(frame)).isEqualTo(1);
        assertThat(Segmenter.complete(frame)).isTrue();
        assertThat(bytes(frame)).isEqualTo(before);
    }

    @ParameterizedTest
    @EnumSource(
            value = Frame.ChecksumState.class,
            names = {"PARTIAL", "VERIFIED"})
    void completesTheChecksumOfASingleSegment(Frame.ChecksumState state) throws Exception {
        for (int length : new int[] {0, 1, 2, 1459, 1460}) {
            Frame unit = unit(new byte[length], 0, 8, 77, 1, TcpSegment.ACK, length);
            if (state == Frame.ChecksumState.VERIFIED) {
                frame.set(unit.bytes(), unit.offset(), unit.length()).checksumVerified();
            } else {
                frame.set(unit.bytes(), unit.offset(), unit.length()).checksumPartial(34, TcpSegment.CHECKSUM);
            }

            assertThat(Segmenter.complete(frame)).isTrue();
            IpV4Packet ip =
                    EthernetPacket.newPacket(bytes(frame), 0, frame.length()).get(IpV4Packet.class);
            assertThat(ip.get(TcpPacket.class)
                            .hasValidChecksum(
                                    ip.getHeader().getSrcAddr(), ip.getHeader().getDstAddr(), false))
                    .isTrue();
        }
    }

    @Test
    void completesTheChecksumOfAVerifiedDatagram() throws Exception {
        MemorySegment bytes = Arena.ofAuto().allocate(200);
        EthernetFrame.write(bytes, 0, 0x5254_0000_0001L, 0x5254_0000_0002L, EthernetFrame.TYPE_IPV4);
        Ipv4Packet.write(bytes, 14, 128, 1, 0, 64, Ipv4Packet.PROTOCOL_UDP, HOST, GUEST);
        UdpDatagram.write(bytes, 34, HOST, 40_000, GUEST, 40_001, 100);
        BigEndian.putU16(bytes, 34 + UdpDatagram.CHECKSUM, 0xDEAD);

        assertThat(Segmenter.complete(frame.set(bytes, 0, 142).checksumVerified()))
                .isTrue();

        IpV4Packet ip = EthernetPacket.newPacket(bytes(frame), 0, 142).get(IpV4Packet.class);
        assertThat(ip.get(UdpPacket.class)
                        .hasValidChecksum(
                                ip.getHeader().getSrcAddr(), ip.getHeader().getDstAddr(), false))
                .isTrue();
    }

    @Test
    void aDatagramWhoseChecksumIsZeroGetsAllOnes() {
        MemorySegment bytes = Arena.ofAuto().allocate(64);
        // The words of the sum are 0xFFFF in all, so its complement is 0.
        BigEndian.putU16(bytes, 0, 0xFFFF);

        assertThat(Segmenter.complete(frame.set(bytes, 0, 8).checksumPartial(0, UdpDatagram.CHECKSUM)))
                .isTrue();
        assertThat(BigEndian.u16(bytes, UdpDatagram.CHECKSUM)).isEqualTo(0xFFFF);
    }

    @Test
    void refusesAChecksumOutsideTheFrame() {
        MemorySegment bytes = Arena.ofAuto().allocate(64);
        for (int[] place : new int[][] {
            {0, 63}, {63, 0}, {64, 0}, {65, 0}, {-1, 4}, {4, -1}, {Integer.MAX_VALUE, 2}, {2, Integer.MAX_VALUE}
        }) {
            assertThat(Segmenter.complete(frame.set(bytes, 0, 64).checksumPartial(place[0], place[1])))
                    .as("start %d, field %d", place[0], place[1])
                    .isFalse();
        }
    }

    @Test
    void refusesALargeUnitThatIsNone() {
        Frame whole = unit(new byte[3000], 0, 0, 1, 1, TcpSegment.ACK, 1);
        for (int length = 0; length < 54; length++) {
            assertThat(segmenter.begin(frame.set(whole.bytes(), OFFSET, length).largeUnit(100)))
                    .as("%d bytes", length)
                    .isEqualTo(Segmenter.MALFORMED);
        }
        assertThat(segmenter.begin(frame.set(whole.bytes(), OFFSET, 3054).largeUnit(-1)))
                .isEqualTo(Segmenter.MALFORMED);
        int[][] lies = {{12, 0x86}, {14, 0x65}, {14, 0x44}, {20, 0x20}, {23, 17}, {46, 0x40}};
        for (int[] lie : lies) {
            Frame unit = unit(new byte[3000], 0, 0, 1, 1, TcpSegment.ACK, 1).largeUnit(1460);
            BigEndian.putU8(unit.bytes(), OFFSET + lie[0], lie[1]);
            assertThat(segmenter.begin(unit)).as("byte %d", lie[0]).isEqualTo(Segmenter.MALFORMED);
        }
    }

    @Test
    void cutsNoMoreThanThereIs() {
        Frame unit = unit(new byte[200], 0, 0, 1, 1, TcpSegment.ACK, 1).largeUnit(100);
        MemorySegment header = Arena.ofAuto().allocate(Segmenter.MAX_HEADER_LENGTH);
        assertThat(segmenter.begin(unit)).isEqualTo(2);
        segmenter.next(header, 0);
        segmenter.next(header, 0);

        assertThatThrownBy(() -> segmenter.next(header, 0)).isInstanceOf(IllegalStateException.class);
    }

    private List<byte[]> cut(Frame unit) {
        int count = segmenter.begin(unit);
        List<byte[]> segments = new ArrayList<>();
        if (count == 1) {
            assertThat(Segmenter.complete(unit)).isTrue();
            segments.add(bytes(unit));
            return segments;
        }
        MemorySegment header = Arena.ofAuto().allocate(Segmenter.MAX_HEADER_LENGTH + 7);
        for (int i = 0; i < count; i++) {
            segmenter.next(header, 7);
            byte[] segment = new byte[segmenter.headerLength() + segmenter.payloadLength()];
            MemorySegment target = MemorySegment.ofArray(segment);
            MemorySegment.copy(header, 7, target, 0, segmenter.headerLength());
            MemorySegment.copy(
                    unit.bytes(),
                    segmenter.payloadOffset(),
                    target,
                    segmenter.headerLength(),
                    segmenter.payloadLength());
            segments.add(segment);
        }
        return segments;
    }

    @Test
    void cutsUnitsOverIpv6() {
        IpAddress host = new IpAddress(0xFD65L << 48, 0x254);
        IpAddress guest = new IpAddress(0xFD65L << 48, 0x1234_5678_9ABCL);
        byte[] payload = new byte[5_001];
        new java.util.Random(6).nextBytes(payload);
        MemorySegment bytes = Arena.ofAuto().allocate(OFFSET + 14 + 40 + 20 + payload.length);
        EthernetFrame.write(bytes, OFFSET, 0x5254_0000_0001L, 0x5254_0000_0002L, EthernetFrame.TYPE_IPV6);
        int ip = OFFSET + 14;
        Ipv6Packet.write(bytes, ip, 20 + payload.length, 64, 6, host.high(), host.low(), guest.high(), guest.low());
        int flags = TcpSegment.ACK | TcpSegment.PSH;
        TcpSegment.write(bytes, ip + 40, host, 443, guest, 50_000, -1_000, 99, flags, 1000, 20, 20 + payload.length);
        MemorySegment.copy(payload, 0, bytes, ValueLayout.JAVA_BYTE, ip + 60, payload.length);
        Frame unit = new Frame()
                .set(bytes, OFFSET, 74 + payload.length)
                .checksumPartial(54, TcpSegment.CHECKSUM)
                .largeUnit(1_440);
        Segmenter segmenter = new Segmenter();
        int segments = segmenter.begin(unit);
        assertThat(segments).isEqualTo(4);
        MemorySegment out = Arena.ofAuto().allocate(1_600);
        int done = 0;
        for (int i = 0; i < segments; i++) {
            segmenter.next(out, 0);
            int length = segmenter.payloadLength();
            assertThat(segmenter.headerLength()).isEqualTo(74);
            MemorySegment.copy(bytes, segmenter.payloadOffset(), out, 74, length);
            assertThat(BigEndian.u16(out, 18)).isEqualTo(20 + length);
            assertThat(BigEndian.i32(out, 58)).isEqualTo(-1_000 + done);
            assertThat(BigEndian.u8(out, 67) & TcpSegment.PSH).isEqualTo(i == 3 ? TcpSegment.PSH : 0);
            int sum = Checksum.pseudoHeader(host, guest, 6, 20 + length) + Checksum.sum(out, 54, 20 + length);
            assertThat(Checksum.fold(sum)).isEqualTo(0xFFFF);
            assertThat(out.asSlice(74, length).toArray(ValueLayout.JAVA_BYTE))
                    .isEqualTo(java.util.Arrays.copyOfRange(payload, done, done + length));
            done += length;
        }
        assertThat(done).isEqualTo(payload.length);
    }

    /** A TCP unit with a partial checksum, at an offset that is not aligned. */
    static Frame unit(byte[] payload, int ipOptions, int tcpOptions, int sequence, int id, int flags, long seed) {
        int ipHeader = 20 + ipOptions;
        int tcpHeader = 20 + tcpOptions;
        int total = ipHeader + tcpHeader + payload.length;
        MemorySegment bytes = Arena.ofAuto().allocate(OFFSET + 14 + total);
        EthernetFrame.write(bytes, OFFSET, 0x5254_0000_0001L, 0x5254_0000_0002L, EthernetFrame.TYPE_IPV4);
        int ip = OFFSET + 14;
        Ipv4Packet.write(bytes, ip, total, id, Ipv4Packet.dontFragment(), 64, Ipv4Packet.PROTOCOL_TCP, HOST, GUEST);
        BigEndian.putU8(bytes, ip, 0x40 | ipHeader / 4);
        for (int i = 0; i < ipOptions; i++) {
            BigEndian.putU8(bytes, ip + 20 + i, 1);
        }
        BigEndian.putU16(bytes, ip + 10, 0);
        BigEndian.putU16(bytes, ip + 10, Checksum.finish(Checksum.sum(bytes, ip, ipHeader)));
        int tcp = ip + ipHeader;
        TcpSegment.write(
                bytes, tcp, HOST, 443, GUEST, 50_000, sequence, 99, flags, 1000, tcpHeader, tcpHeader + payload.length);
        for (int i = 0; i < tcpOptions; i++) {
            BigEndian.putU8(bytes, tcp + 20 + i, 1);
        }
        MemorySegment.copy(payload, 0, bytes, ValueLayout.JAVA_BYTE, tcp + tcpHeader, payload.length);
        return new Frame().set(bytes, OFFSET, 14 + total).checksumPartial(14 + ipHeader, TcpSegment.CHECKSUM);
    }

    private static byte[] bytes(Frame frame) {
        return frame.bytes().asSlice(frame.offset(), frame.length()).toArray(ValueLayout.JAVA_BYTE);
    }
}
