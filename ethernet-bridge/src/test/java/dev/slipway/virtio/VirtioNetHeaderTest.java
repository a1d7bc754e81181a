package dev.slipway.virtio;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.wire.Frame;
import dev.slipway.wire.Frame.ChecksumState;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VirtioNetHeaderTest {

    private static final int IPV4 = 0x0800;
    private static final int IPV6 = 0x86DD;

    private final MemorySegment header = Arena.ofAuto().allocate(VirtioNetHeader.LENGTH + 1);

    /** A frame of TCP whose TCP header of 32 bytes begins at a position. */
    private static Frame frame(int type, int length, int tcpStart) {
        MemorySegment bytes = Arena.ofAuto().allocate(length);
        bytes.set(ValueLayout.JAVA_BYTE, 12, (byte) (type >> 8));
        bytes.set(ValueLayout.JAVA_BYTE, 13, (byte) type);
        if (tcpStart + 12 < length) {
            bytes.set(ValueLayout.JAVA_BYTE, tcpStart + 12, (byte) 0x80);
        }
        return new Frame().set(bytes, 0, length);
    }

    private boolean read(String hex, Frame frame) {
        byte[] bytes = HexFormat.ofDelimiter(" ").parseHex(hex);
        // At an odd place: nothing promises alignment.
        MemorySegment.copy(bytes, 0, header, ValueLayout.JAVA_BYTE, 1, bytes.length);
        return VirtioNetHeader.read(header, 1, frame);
    }

    @Test
    void headerOfLinuxForALargeUnitIsRead() {
        Frame frame = frame(IPV4, 2962, 34);
        assertThat(read("01 01 42 00 a8 05 22 00 10 00 00 00", frame)).isTrue();
        assertThat(frame.checksum()).isEqualTo(ChecksumState.PARTIAL);
        assertThat(frame.checksumStart()).isEqualTo(34);
        assertThat(frame.checksumOffset()).isEqualTo(16);
        assertThat(frame.segmentSize()).isEqualTo(1448);
    }

    @Test
    void verifiedAndCompleteSumsAreToldApart() {
        Frame frame = frame(IPV4, 60, 34);
        assertThat(read("02 00 00 00 00 00 00 00 00 00 00 00", frame)).isTrue();
        assertThat(frame.checksum()).isEqualTo(ChecksumState.VERIFIED);
        frame = frame(IPV4, 60, 34);
        assertThat(read("00 00 00 00 00 00 00 00 00 00 00 00", frame)).isTrue();
        assertThat(frame.checksum()).isEqualTo(ChecksumState.COMPLETE);
    }

    @ParameterizedTest
    @CsvSource({
        "sum begins in the Ethernet header, 01 00 00 00 00 00 0d 00 10 00 00 00",
        "sum ends behind the frame, 01 00 00 00 00 00 22 00 45 00 00 00",
        "both at their largest, 01 00 00 00 00 00 ff ff ff ff 00 00",
        "large unit without a partial sum, 00 01 42 00 a8 05 00 00 00 00 00 00",
        "large unit without a size, 01 01 42 00 00 00 22 00 10 00 00 00",
        "large unit of the other IP, 01 04 42 00 a8 05 22 00 10 00 00 00",
        "large unit of UDP, 01 03 42 00 a8 05 22 00 06 00 00 00",
        "large unit of TCP whose sum is where UDP has it, 01 01 42 00 a8 05 22 00 06 00 00 00",
        "kind of unit that nobody knows, 01 77 42 00 a8 05 22 00 10 00 00 00"
    })
    void headerThatCannotBeIsRefused(String what, String hex) {
        assertThat(read(hex, frame(IPV4, 104, 34))).as(what).isFalse();
    }

    @Test
    void whatIsWrittenIsReadBackTheSame() {
        for (int type : new int[] {IPV4, IPV6}) {
            int tcp = type == IPV4 ? 34 : 54;
            Frame sent = frame(type, 5000, tcp).checksumPartial(tcp, 16).largeUnit(1428);
            assertThat(VirtioNetHeader.write(sent, header, 1, 1)).isTrue();
            Frame got = frame(type, 5000, tcp);
            assertThat(VirtioNetHeader.read(header, 1, got)).isTrue();
            assertThat(got.segmentSize()).isEqualTo(1428);
            assertThat(got.checksumStart()).isEqualTo(tcp);
            assertThat(header.get(ValueLayout.JAVA_BYTE, 3))
                    .as("length of all headers")
                    .isEqualTo((byte) (tcp + 32));
        }
    }

    @Test
    void unitThatFitsOneSegmentIsNoLargeUnit() {
        Frame sent = frame(IPV4, 34 + 32 + 1448, 34).checksumPartial(34, 16).largeUnit(1448);
        assertThat(VirtioNetHeader.write(sent, header, 1, 1)).isTrue();
        Frame got = frame(IPV4, sent.length(), 34);
        assertThat(VirtioNetHeader.read(header, 1, got)).isTrue();
        assertThat(got.segmentSize()).isZero();
        assertThat(got.checksum()).isEqualTo(ChecksumState.PARTIAL);
    }

    @Test
    void largeUnitThatIsNoIpOrHasNoPartialSumIsNotWritten() {
        assertThat(VirtioNetHeader.write(
                        frame(0x0806, 5000, 34).checksumPartial(34, 16).largeUnit(1448), header, 1, 1))
                .isFalse();
        assertThat(VirtioNetHeader.write(frame(IPV4, 5000, 34).largeUnit(1448), header, 1, 1))
                .isFalse();
    }

    @Test
    void anyBytesAreReadOrRefusedAndNeverLeadOutOfTheFrame() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 20_000; i++) {
            Frame frame = frame(random.nextBoolean() ? IPV4 : IPV6, 14 + random.nextInt(200), 34);
            for (int at = 1; at <= VirtioNetHeader.LENGTH; at++) {
                header.set(ValueLayout.JAVA_BYTE, at, (byte) (random.nextInt(4) == 0 ? random.nextInt() : 1));
            }
            if (VirtioNetHeader.read(header, 1, frame) && frame.checksum() == ChecksumState.PARTIAL) {
                assertThat(frame.checksumStart() + frame.checksumOffset() + 2)
                        .as("seed %d", seed)
                        .isBetween(16, frame.length());
            }
        }
    }
}
