package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.util.ReferenceCountUtil;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The memory of the frames that wait for a guest, in virtual time. */
class StreamOutputTest {

    private static final int LENGTH = 1_514;

    /** Takes all that is written at once. */
    private static final class Kernel extends ChannelOutboundHandlerAdapter {
        @Override
        public void write(ChannelHandlerContext context, Object bytes, ChannelPromise promise) {
            ReferenceCountUtil.release(bytes);
            promise.setSuccess();
        }
    }

    private final EmbeddedChannel channel = new EmbeddedChannel(new Kernel());
    private final StreamOutput output = new StreamOutput(
            StreamFraming.QEMU, Offload.NONE, LENGTH, new LinkCounters(), new QueueLimit(() -> 0), () -> {});

    @BeforeEach
    void open() {
        channel.freezeTime();
        output.open(channel);
    }

    @AfterEach
    void close() {
        output.close();
        assertThat(output.isUnshared()).isTrue();
        assertThat(output.chunks()).isZero();
        channel.finishAndReleaseAll();
    }

    /** Fills the queue as far as it goes for data that can wait, and gives it to the guest. */
    private void burst() {
        while (output.room() > 0) {
            output.send(output.begin(LENGTH));
        }
        output.flush();
        assertThat(output.queued()).isZero();
    }

    private void waitFor(long millis) {
        channel.advanceTimeBy(millis, TimeUnit.MILLISECONDS);
        channel.runScheduledPendingTasks();
    }

    /** The queue's limit grows with a guest that takes all at once, so that more than a chunk is needed. */
    private void manyChunks() {
        for (int i = 0; i < 6; i++) {
            burst();
        }
        assertThat(output.chunks()).isGreaterThan(2);
    }

    @Test
    void chunksThatAreNeededAgainAndAgainAreKept() {
        manyChunks();
        int chunks = output.chunks();
        for (int i = 0; i < 10; i++) {
            waitFor(StreamOutput.UNUSED_MILLIS / 2);
            assertThat(output.chunks()).isEqualTo(chunks);
            burst();
        }
    }

    @Test
    void ofAGuestThatIsSilentAfterABurstOneChunkIsKept() {
        manyChunks();
        waitFor(StreamOutput.UNUSED_MILLIS);
        waitFor(StreamOutput.UNUSED_MILLIS);
        assertThat(output.chunks()).isEqualTo(1);
        // Nothing looks any more, and all of it works again.
        assertThat(channel.runScheduledPendingTasks()).isEqualTo(-1);
        manyChunks();
    }

    @Test
    void aLittleTrafficNeedsOneChunk() {
        manyChunks();
        for (int i = 0; i < 30; i++) {
            output.send(output.begin(60));
            output.flush();
            waitFor(100);
        }
        assertThat(output.chunks()).isEqualTo(1);
    }
}
