package dev.slipway.guest;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import org.assertj.core.api.Assertions;

/**
 * A stream of bytes in which every 8 bytes tell flow and position, so that a receiver checks each byte as it comes and
 * names the first that is wrong. Two flows of one seed would be the same stream.
 *
 * @param seed which flow
 */
record Payload(long seed) {

    private static final AtomicLong SEEDS = new AtomicLong();
    private static final int CHUNK = 256 << 10;
    private static final int WORD = Long.BYTES;

    /** A flow that no other one resembles. */
    static Payload next() {
        return new Payload(SEEDS.incrementAndGet() * 0x9E37_79B9_7F4A_7C15L);
    }

    /** The first bytes of the flow. */
    ByteBuffer first(int length) {
        ByteBuffer bytes = ByteBuffer.allocate(length + WORD);
        fill(bytes, 0, length);
        return bytes.clear().limit(length);
    }

    /** Writes the first bytes of the flow to a blocking channel. */
    void send(WritableByteChannel channel, long length) throws IOException {
        send(channel, length, new AtomicLong());
    }

    /** The same, and says how far it is. */
    void send(WritableByteChannel channel, long length, AtomicLong sent) throws IOException {
        ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK + WORD);
        for (long at = 0; at < length; at += CHUNK) {
            int size = (int) Math.min(CHUNK, length - at);
            fill(chunk.clear(), at, size);
            chunk.clear().limit(size);
            while (chunk.hasRemaining()) {
                sent.addAndGet(channel.write(chunk));
            }
        }
    }

    /** The same in a thread of its own. */
    Background<Long> sendInBackground(WritableByteChannel channel, long length) {
        AtomicLong sent = new AtomicLong();
        return Background.start(sent, () -> {
            send(channel, length, sent);
            return length;
        });
    }

    /** Reads exactly so many bytes and fails at the first that is not the flow's. */
    void receive(ReadableByteChannel channel, long length) throws IOException {
        ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK);
        ByteBuffer expected = ByteBuffer.allocateDirect(CHUNK + WORD);
        for (long at = 0; at < length; at += CHUNK) {
            int size = (int) Math.min(CHUNK, length - at);
            chunk.clear().limit(size);
            while (chunk.hasRemaining()) {
                if (channel.read(chunk) < 0) {
                    Assertions.fail("the stream ended after %,d of %,d bytes", at + chunk.position(), length);
                }
            }
            fill(expected.clear(), at, size);
            int different = expected.clear().limit(size).mismatch(chunk.flip());
            if (different >= 0) {
                Assertions.fail("byte %,d of %,d is wrong (seed %d)", at + different, length, seed);
            }
        }
    }

    /** Reads so many bytes, all right, and then the end of the stream. */
    void receiveAll(ReadableByteChannel channel, long length) throws IOException {
        receive(channel, length);
        Assertions.assertThat(channel.read(ByteBuffer.allocate(1)))
                .as("end of the stream after %,d bytes", length)
                .isEqualTo(-1);
    }

    /** Fills whole words from a position that is a multiple of 8; the last may go past the length. */
    private void fill(ByteBuffer target, long position, int length) {
        for (int i = 0; i < length; i += WORD) {
            target.putLong(i, mix(seed + position + i));
        }
    }

    /** The finisher of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
    private static long mix(long value) {
        long z = (value ^ (value >>> 30)) * 0xBF58_476D_1CE4_E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D0_49BB_1331_11EBL;
        return z ^ (z >>> 31);
    }

    /** Work in a thread of its own, and how far it is. */
    record Background<T>(FutureTask<T> task, AtomicLong progress) {

        static <T> Background<T> start(AtomicLong progress, Callable<T> work) {
            FutureTask<T> task = new FutureTask<>(work);
            Thread.ofPlatform().daemon().name("other end").start(task);
            return new Background<>(task, progress);
        }

        /** Waits for its end and fails as it failed. */
        T join() throws IOException {
            try {
                return task.get(30, TimeUnit.SECONDS);
            } catch (ExecutionException e) {
                if (e.getCause() instanceof AssertionError failed) {
                    throw failed;
                }
                throw new IOException(e.getCause());
            } catch (TimeoutException e) {
                throw new IOException("still at work after 30 s, " + progress + " bytes done", e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            }
        }
    }
}
