package dev.slipway.wire;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.NaiveChecksum;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

final class ChecksumTest {

    @Property
    void sumIsThatOfThePlainLoopAtAnyOffsetAndLength(
            @ForAll @Size(max = 300) byte[] bytes, @ForAll @IntRange(max = 9) int before) {
        MemorySegment segment = Arena.ofAuto().allocate(before + bytes.length);
        MemorySegment.copy(bytes, 0, segment, ValueLayout.JAVA_BYTE, before, bytes.length);
        int expected = NaiveChecksum.sum(bytes, 0, bytes.length);
        assertThat(Checksum.sum(segment, before, bytes.length)).isEqualTo(expected);
        assertThat(Checksum.sum(MemorySegment.ofArray(bytes), 0, bytes.length)).isEqualTo(expected);
        assertThat(Checksum.finish(expected)).isEqualTo(~expected & 0xFFFF);
    }

    @Property(tries = 50)
    void sumOfTheLongestPacketsIsRight(@ForAll @IntRange(min = 60_000, max = 65_535) int length, @ForAll long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        assertSumIsThatOfThePlainLoop(bytes);
    }

    @Test
    void carriesAreNotLostWhenEveryBitIsSet() {
        for (int length = 0; length <= 70_000; length += length < 40 ? 1 : 997) {
            byte[] bytes = new byte[length];
            Arrays.fill(bytes, (byte) 0xFF);
            assertSumIsThatOfThePlainLoop(bytes);
        }
    }

    /** In an array and in native memory, for which the loops are not the same. */
    private static void assertSumIsThatOfThePlainLoop(byte[] bytes) {
        int expected = NaiveChecksum.sum(bytes, 0, bytes.length);
        MemorySegment array = MemorySegment.ofArray(bytes);
        assertThat(Checksum.sum(array, 0, bytes.length))
                .as("%d bytes of an array", bytes.length)
                .isEqualTo(expected);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(bytes.length).copyFrom(array);
            assertThat(Checksum.sum(memory, 0, bytes.length))
                    .as("%d bytes of native memory", bytes.length)
                    .isEqualTo(expected);
        }
    }

    @Property
    void sumsOfPartsAddUpToTheSumOfTheWhole(
            @ForAll @Size(max = 200) byte[] bytes, @ForAll @IntRange(max = 100) int words) {
        int cut = Math.min(2 * words, bytes.length & ~1);
        MemorySegment segment = MemorySegment.ofArray(bytes);
        int parts = Checksum.sum(segment, 0, cut) + Checksum.sum(segment, cut, bytes.length - cut);
        assertThat(Checksum.fold(parts)).isEqualTo(NaiveChecksum.sum(bytes, 0, bytes.length));
    }

    @Property
    void pseudoHeaderIsThatOfThePlainLoop(
            @ForAll int source,
            @ForAll int destination,
            @ForAll @IntRange(max = 255) int protocol,
            @ForAll @IntRange(max = 65_535) int length) {
        byte[] header = new byte[12];
        MemorySegment segment = MemorySegment.ofArray(header);
        BigEndian.putI32(segment, 0, source);
        BigEndian.putI32(segment, 4, destination);
        BigEndian.putU16(segment, 8, protocol);
        BigEndian.putU16(segment, 10, length);
        assertThat(Checksum.pseudoHeader(source, destination, protocol, length))
                .isEqualTo(NaiveChecksum.sum(header, 0, 12));
    }

    @Test
    void exampleOfRfc1071() {
        byte[] bytes = {0x00, 0x01, (byte) 0xF2, 0x03, (byte) 0xF4, (byte) 0xF5, (byte) 0xF6, (byte) 0xF7};
        assertThat(Checksum.sum(MemorySegment.ofArray(bytes), 0, 8)).isEqualTo(0xDDF2);
    }
}
