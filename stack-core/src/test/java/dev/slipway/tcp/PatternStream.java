package dev.slipway.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.HostStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A host connection in memory whose bytes tell where they belong: it gives the stack a stream of a known pattern and
 * checks each byte of what it gets for value and place.
 */
final class PatternStream implements HostStream {

    final long total;
    final int salt;
    final int expectedSalt;
    Listener listener;

    long produced;
    long discarded;
    boolean ends = true;

    int capacity = 1 << 20;
    long written;
    long flushed;
    long consumed;
    boolean readerIsSlow;
    /** How much a flush gets into the kernel. */
    long takenPerFlush = Long.MAX_VALUE;
    /** How far the stack was told that it may write. */
    long promised;
    /** A defect to throw from write or flush. */
    RuntimeException failWrites;
    /** A defect to throw from reset. */
    RuntimeException failResets;

    boolean shutdownWanted;
    boolean wasReset;
    boolean wasClosed;
    int failPeeks;
    /** Looks for more than one piece. */
    int looksForPieces;

    PatternStream(long total, int salt, int expectedSalt) {
        this.total = total;
        this.salt = salt;
        this.expectedSalt = expectedSalt;
        this.produced = total;
    }

    static byte at(long position, int salt) {
        long mixed = (position / 8 + salt) * 0x9E37_79B9_7F4A_7C15L;
        return (byte) (mixed >>> 8 * (position % 8));
    }

    @Override
    public int room() {
        assertOpen();
        int room = (int) Math.max(0, capacity - (written - consumed));
        promised = Math.max(promised, written + room);
        return room;
    }

    @Override
    public void write(MemorySegment source, long offset, int length) {
        assertOpen();
        if (failWrites != null) {
            throw failWrites;
        }
        assertThat(shutdownWanted).as("payload after the end").isFalse();
        assertThat(written + length)
                .as("payload beyond the room that was promised")
                .isLessThanOrEqualTo(promised);
        for (int i = 0; i < length; i++) {
            byte expected = at(written + i, expectedSalt);
            byte actual = source.get(ValueLayout.JAVA_BYTE, offset + i);
            if (actual != expected) {
                throw new AssertionError("byte " + (written + i) + " is " + actual + ", not " + expected);
            }
        }
        written += length;
    }

    @Override
    public void flush() {
        flushed = written - flushed > takenPerFlush ? flushed + takenPerFlush : written;
        if (!readerIsSlow) {
            consumed = written;
        }
    }

    /** The reader takes bytes that were held. */
    void consume(long bytes) {
        consumed = Math.min(written, consumed + bytes);
        listener.writable();
    }

    /** The kernel takes bytes that it had no room for. */
    void take(long bytes) {
        flushed = Math.min(written, flushed + bytes);
        listener.writable();
    }

    /** The host's peer sends more. */
    void produce(long bytes) {
        produced = Math.min(total, produced + bytes);
        listener.readable();
    }

    @Override
    public long taken() {
        assertOpen();
        return flushed;
    }

    @Override
    public void shutdownOutput() {
        assertOpen();
        shutdownWanted = true;
    }

    @Override
    public boolean isOutputShutdown() {
        return shutdownWanted && flushed == written;
    }

    @Override
    public int peek(long position, MemorySegment target, long offset, int length) {
        assertOpen();
        if (failPeeks > 0 && --failPeeks == 0) {
            throw new IllegalStateException("a defect, on purpose");
        }
        assertThat(position).as("peek at what was discarded").isGreaterThanOrEqualTo(discarded);
        int count = (int) Math.min(length, produced - position);
        if (count <= 0) {
            return produced == total && ends ? END : 0;
        }
        for (int i = 0; i < count; i++) {
            target.set(ValueLayout.JAVA_BYTE, offset + i, at(position + i, salt));
        }
        return count;
    }

    @Override
    public int peek(long position, MemorySegment target, long offset, int length, int piece, int distance) {
        assertThat(distance).as("room between the pieces").isGreaterThan(piece);
        looksForPieces++;
        int copied = 0;
        for (int number = 0; copied < length; number++) {
            int next = peek(
                    position + copied, target, offset + (long) number * distance, Math.min(piece, length - copied));
            if (next <= 0) {
                return copied == 0 ? next : copied;
            }
            copied += next;
        }
        return copied;
    }

    @Override
    public void discard(long position) {
        assertOpen();
        assertThat(position).isBetween(discarded, produced);
        discarded = position;
    }

    @Override
    public void reset() {
        assertOpen();
        wasReset = true;
        if (failResets != null) {
            throw failResets;
        }
    }

    @Override
    public void close() {
        assertOpen();
        wasClosed = true;
    }

    private void assertOpen() {
        assertThat(wasReset || wasClosed).as("used after its end").isFalse();
    }
}
