package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.ethernet.Transport;
import dev.slipway.seam.StackSettings.Limits;
import org.junit.jupiter.api.Test;

class LedgerTest {

    private static final long MIB = 1 << 20;

    @Test
    void theUsualHeapOf256MibHasRoomForTheUsualLimitsOfAVm() {
        assertThat(MemoryLimits.of(Limits.defaults(), 256 * MIB, 1, Transport.NATIVE))
                .isEqualTo(Limits.defaults());
    }

    @Test
    void aSmallHeapLowersTheLimitsAndChannelsCostMoreOfIt() {
        Limits small = MemoryLimits.of(Limits.defaults(), 64 * MIB, 1, Transport.NATIVE);
        assertThat(small.tcpFlows()).isEqualTo(16_384);
        assertThat(small.outOfOrderTotalBytes()).isEqualTo(4 * (int) MIB);
        assertThat(MemoryLimits.of(Limits.defaults(), 64 * MIB, 1, Transport.NIO)
                        .tcpFlows())
                .isEqualTo(5_461);
    }

    @Test
    void vmsShareTheHeap() {
        assertThat(MemoryLimits.of(Limits.defaults(), 64 * MIB, 4, Transport.NATIVE)
                        .tcpFlows())
                .isEqualTo(4_096);
    }

    @Test
    void aLimitThatWasSetIsNeverRaised() {
        Limits set = new Limits(10, 5, 3, 1_000, 1_000, 1_000, 2, 7);
        assertThat(MemoryLimits.of(set, 256 * MIB, 1, Transport.NIO)).isEqualTo(set);
    }

    @Test
    void handshakesUnderWayAreNeverMoreThanConnections() {
        assertThat(MemoryLimits.of(Limits.defaults(), MIB, 1, Transport.NIO).tcpHalfOpen())
                .isEqualTo(85);
    }

    @Test
    void descriptorsAreKeptBack() {
        Descriptors few = new Descriptors(256);
        assertThat(few.admits(215)).isTrue();
        assertThat(few.admits(216)).isFalse();
        Descriptors many = new Descriptors(1_048_576);
        assertThat(many.admits(1_048_576 - 281)).isTrue();
        assertThat(many.admits(1_048_576 - 280)).isFalse();
    }

    @Test
    void channelsAreCountedAndGivenBack() {
        Descriptors few = new Descriptors(64);
        int admitted = 0;
        while (few.admitsChannel()) {
            admitted++;
        }
        assertThat(admitted).isEqualTo(64 - 28 - 24);
        few.closed();
        assertThat(few.admitsChannel()).isTrue();
        assertThat(few.admitsChannel()).isFalse();
    }

    @Test
    void theLimitIsReadAsLinuxTellsIt() {
        String limits = """
            Limit                     Soft Limit           Hard Limit           Units
            Max core file size        0                    unlimited            bytes
            Max open files            1024                 1048576              files
            """;
        assertThat(Descriptors.parse(limits)).isEqualTo(1_024);
        assertThat(Descriptors.parse("Max open files            unlimited            unlimited            files"))
                .isEqualTo(Integer.MAX_VALUE);
        assertThat(Descriptors.parse("")).isEqualTo(Integer.MAX_VALUE);
    }
}
