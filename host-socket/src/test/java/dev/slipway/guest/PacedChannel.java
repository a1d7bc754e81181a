package dev.slipway.guest;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.time.Duration;
import java.util.function.LongSupplier;

/** A reader that gets on only as something else gets on: slow, but no slower than what it is measured by. */
final class PacedChannel implements ReadableByteChannel {

    private static final Duration STANDSTILL = Duration.ofSeconds(60);

    private final ReadableByteChannel channel;
    private final LongSupplier allowed;
    private long read;

    /**
     * @param allowed how many bytes may have been read by now; it never falls
     */
    PacedChannel(ReadableByteChannel channel, LongSupplier allowed) {
        this.channel = channel;
        this.allowed = allowed;
    }

    @Override
    public int read(ByteBuffer target) throws IOException {
        Await.until("a slow reader may go on after " + read + " bytes", STANDSTILL, () -> allowed.getAsLong() > read);
        int limit = target.limit();
        target.limit(target.position() + (int) Math.min(target.remaining(), allowed.getAsLong() - read));
        try {
            int count = channel.read(target);
            read += Math.max(0, count);
            return count;
        } finally {
            target.limit(limit);
        }
    }

    @Override
    public boolean isOpen() {
        return channel.isOpen();
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
