package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.HostStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * What a stack does with one host connection: sends a pattern as fast as room is promised, receives and checks a
 * pattern with peeks like those of retransmissions. Everything runs on the VM's event loop.
 */
final class FakeGuest implements HostStream.Listener {

    private static final int WINDOW = 128 << 10;

    final CompletableFuture<Void> connected = new CompletableFuture<>();
    final CompletableFuture<HostStream.ConnectFailure> failure = new CompletableFuture<>();
    final CompletableFuture<Void> reset = new CompletableFuture<>();
    final CompletableFuture<Long> received = new CompletableFuture<>();
    final CompletableFuture<Void> sent = new CompletableFuture<>();
    final List<String> events = new ArrayList<>();
    private final HostRig rig;
    private final MemorySegment memory = Arena.ofAuto().allocate(WINDOW);
    HostStream stream;
    boolean inSeam;

    private Random random = new Random(0);
    private boolean reading;
    private long readLimit = Long.MAX_VALUE;
    private long receivedBytes;
    private long acknowledged;
    private long toSend = -1;
    private long sentBytes;
    private boolean thenShutdown;
    private long lastTaken;
    private long promisedEdge;

    FakeGuest(HostRig rig) {
        this.rig = rig;
    }

    /** Byte {@code position} of every stream in these tests. */
    static byte pattern(long position) {
        return (byte) (position * 31 + (position >>> 8) * 7 + (position >>> 16));
    }

    FakeGuest awaitConnected() throws Exception {
        connected.get(10, TimeUnit.SECONDS);
        return this;
    }

    /** Reads all there is up to a position, from now on. */
    void read(long limit, Random chunks) throws Exception {
        rig.run(() -> {
            random = chunks;
            reading = true;
            readLimit = limit;
            readable();
        });
    }

    /** Sends that many bytes more, from now on. */
    void send(long bytes, boolean shutdownAfter, Random chunks) throws Exception {
        rig.run(() -> {
            random = chunks;
            toSend = Math.max(toSend, 0) + bytes;
            thenShutdown = shutdownAfter;
            pump();
        });
    }

    long taken() throws Exception {
        return rig.call(() -> stream.taken());
    }

    int room() throws Exception {
        return rig.call(() -> stream.room());
    }

    private void event(String name) {
        assertThat(inSeam).as("event %s from within a method of the seam", name).isFalse();
        assertThat(rig.loop.inEventLoop())
                .as("event %s on the event loop", name)
                .isTrue();
        events.add(name);
    }

    @Override
    public void connected() {
        event("connected");
        connected.complete(null);
    }

    @Override
    public void failed(HostStream.ConnectFailure reason) {
        event("failed");
        failure.complete(reason);
    }

    @Override
    public void reset() {
        event("reset");
        reset.complete(null);
    }

    @Override
    public void writable() {
        event("writable");
        pump();
    }

    @Override
    public void readable() {
        if (!reading) {
            events.add("readable");
            return;
        }
        event("readable");
        inSeam = true;
        try {
            while (receivedBytes < readLimit) {
                int want = (int) Math.min(1 + random.nextInt(WINDOW), readLimit - receivedBytes);
                // Now and then from where a retransmission would begin.
                long from = random.nextInt(4) == 0
                        ? acknowledged + (long) (random.nextDouble() * (receivedBytes - acknowledged))
                        : receivedBytes;
                int copied = random.nextBoolean() ? stream.peek(from, memory, 0, want) : peekPieces(from, want);
                if (copied == HostStream.END) {
                    assertThat(from).isEqualTo(receivedBytes);
                    stream.discard(receivedBytes);
                    received.complete(receivedBytes);
                    return;
                }
                for (int i = 0; i < copied; i++) {
                    if (memory.get(ValueLayout.JAVA_BYTE, i) != pattern(from + i)) {
                        received.completeExceptionally(
                                new AssertionError("byte " + (from + i) + " is wrong after " + receivedBytes));
                        return;
                    }
                }
                if (copied == 0 && from == receivedBytes) {
                    // A guest acknowledges all it has when nothing more comes.
                    acknowledged = receivedBytes;
                    return;
                }
                receivedBytes = Math.max(receivedBytes, from + copied);
                if (random.nextInt(3) == 0) {
                    acknowledged = receivedBytes - Math.min(receivedBytes - acknowledged, random.nextInt(5000));
                    stream.discard(acknowledged);
                }
            }
            if (receivedBytes == readLimit) {
                received.complete(receivedBytes);
            }
        } catch (Throwable t) {
            received.completeExceptionally(t);
        } finally {
            acknowledged = Math.max(acknowledged, receivedBytes - 5000);
            stream.discard(acknowledged);
            inSeam = false;
        }
    }

    /** In pieces with something else between them, which is to stay; then without it, as one. */
    private int peekPieces(long from, int want) {
        int piece = 1 + random.nextInt(want);
        int gap = random.nextInt(100);
        if (want / piece > 300) {
            // More pieces than one call takes are allowed, but cost this test's memory.
            piece = 1 + want / 300;
        }
        int count = (want + piece - 1) / piece;
        byte[] empty = new byte[want + count * gap];
        Arrays.fill(empty, (byte) 0x5A);
        MemorySegment apart = Arena.ofAuto().allocate(empty.length);
        MemorySegment.copy(empty, 0, apart, ValueLayout.JAVA_BYTE, 0, empty.length);
        int copied = stream.peek(from, apart, 0, want, piece, piece + gap);
        for (int at = 0; at < copied; at += piece) {
            long place = (long) (at / piece) * (piece + gap);
            int length = Math.min(piece, copied - at);
            MemorySegment.copy(apart, place, memory, at, length);
            apart.asSlice(place, length).fill((byte) 0x5A);
        }
        assertThat(apart.mismatch(MemorySegment.ofArray(empty)))
                .as("only the pieces are written")
                .isEqualTo(-1);
        return copied;
    }

    private void pump() {
        if (toSend < 0) {
            return;
        }
        inSeam = true;
        try {
            long taken = stream.taken();
            assertThat(taken).isGreaterThanOrEqualTo(lastTaken).isLessThanOrEqualTo(sentBytes);
            lastTaken = taken;
            long edge = sentBytes + stream.room();
            assertThat(edge).as("the promise").isGreaterThanOrEqualTo(promisedEdge);
            promisedEdge = edge;
            while (sentBytes < toSend) {
                int room = stream.room();
                if (room == 0) {
                    break;
                }
                int length = (int) Math.min(Math.min(room, toSend - sentBytes), 1 + random.nextInt(20_000));
                // Written bytes stay where they are until the flush, so each write has memory of its own.
                MemorySegment written = Arena.ofAuto().allocate(length);
                for (int i = 0; i < length; i++) {
                    written.set(ValueLayout.JAVA_BYTE, i, pattern(sentBytes + i));
                }
                stream.write(written, 0, length);
                sentBytes += length;
                promisedEdge = Math.max(promisedEdge, sentBytes + stream.room());
                if (random.nextInt(8) == 0) {
                    stream.flush();
                }
            }
            stream.flush();
            if (sentBytes == toSend && thenShutdown) {
                stream.shutdownOutput();
                thenShutdown = false;
            }
            if (sentBytes == toSend && stream.taken() == toSend) {
                sent.complete(null);
            } else if (toSend > sentBytes && stream.room() > 0) {
                rig.loop.execute(this::pump);
            }
        } catch (Throwable t) {
            sent.completeExceptionally(t);
        } finally {
            inSeam = false;
        }
    }
}
