package dev.slipway.ethernet;

import dev.slipway.virtio.VirtioNetHeader;
import dev.slipway.wire.Frame;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * The bytes to the guest of a {@link StreamLink}: a bounded queue of reused chunks in which frames are built, each
 * behind its length.
 *
 * <p>A frame that cannot be longer than the MTU is built where it will be written from. A longer one may be a large
 * unit; it is built aside and cut into the chunks when it is sent.
 *
 * <p>One write is with the channel at a time, and it is a piece of one chunk. So the chunk's own buffer serves for
 * every write, what is queued is known to the byte, and what comes while the guest is slow makes long writes.
 */
final class StreamOutput implements ChannelFutureListener {

    /** Bytes beyond the limit for frames that cannot wait; beyond them a frame is dropped. */
    static final int RESERVE = 256 * 1024;
    /** Bytes of a chunk: what one flow sends in one turn, with the headers of segments of 1,460 bytes, is one write. */
    static final int CHUNK = 1104 * 1024;
    /** Bytes of a frame from which on it is worth telling that others may follow it in its chunk. */
    private static final int LONG = 16 * 1024;
    /** How long a chunk that was not needed is kept, in milliseconds; it may be twice as long. */
    static final int UNUSED_MILLIS = 1_000;

    private static final class Chunk {
        final MemorySegment bytes = Arena.ofAuto().allocate(CHUNK, 64);
        final ByteBuf buffer = Unpooled.wrappedBuffer(bytes.asByteBuffer());
        /** Bytes that hold frames. */
        int filled;
        /** Bytes that the kernel has. */
        int taken;
    }

    private final StreamFraming framing;
    private final Offload offload;
    /** Bytes in front of a frame: its length, and its offload header if there is one. */
    private final int prefix;

    private final int longestPlain;
    private final LinkCounters counters;
    private final Runnable roomAgain;
    private final QueueLimit limit;
    private final Segmenter segmenter = new Segmenter();
    private final Frame frame = new Frame();
    private final ArrayDeque<Chunk> chunks = new ArrayDeque<>();
    private final ArrayDeque<Chunk> free = new ArrayDeque<>();
    /** Those that a channel had not given back when it ended, which should be none. */
    private final ArrayDeque<Chunk> held = new ArrayDeque<>();

    private MemorySegment aside = MemorySegment.NULL;

    private Channel channel;
    private int queued;
    private int writing;
    private boolean inFlush;
    private boolean starved;
    /** The most chunks that were in use at once since the last look at how many are needed. */
    private int mostChunks;

    private boolean lookDue;

    /**
     * @param longestPlain bytes of the longest frame that the guest takes: no longer one goes out uncut
     * @param limit bytes queued from which on the link is full for data that can wait
     * @param roomAgain run when the room was used up and half of it is there again; maybe from within {@link #flush}
     */
    StreamOutput(
            StreamFraming framing,
            Offload offload,
            int longestPlain,
            LinkCounters counters,
            QueueLimit limit,
            Runnable roomAgain) {
        this.framing = framing;
        this.offload = offload;
        this.prefix = framing.prefix() + offload.headerLength();
        this.longestPlain = offload.carriesUnits() ? Frame.MAX_LENGTH : longestPlain;
        this.counters = counters;
        this.limit = limit;
        this.roomAgain = roomAgain;
    }

    /** Begins a connection. */
    void open(Channel connection) {
        channel = connection;
        limit.begin();
    }

    /** Ends a connection, whose channel is closed: what is queued is let go of. */
    void close() {
        channel = null;
        queued = 0;
        writing = 0;
        starved = false;
        // Of a guest that is gone no memory is kept: there may be many that come and go.
        chunks.stream().filter(chunk -> chunk.buffer.refCnt() > 1).forEach(held::add);
        chunks.clear();
        free.clear();
        mostChunks = 0;
    }

    private void recycle(Chunk chunk) {
        if (chunk.buffer.refCnt() == 1) {
            chunk.filled = 0;
            chunk.taken = 0;
            free.addFirst(chunk);
            lookLater();
        }
    }

    /** Chunks that are free are looked at until there is none. */
    private void lookLater() {
        if (!lookDue && channel != null) {
            lookDue = true;
            channel.eventLoop().schedule(this::letGoOfUnneeded, UNUSED_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private void letGoOfUnneeded() {
        lookDue = false;
        while (!free.isEmpty() && chunks() > Math.max(1, mostChunks)) {
            free.removeLast();
        }
        mostChunks = chunks.size();
        if (!free.isEmpty()) {
            lookLater();
        }
    }

    /** Chunks that there are, free ones as well. */
    int chunks() {
        return chunks.size() + free.size();
    }

    int room() {
        if (channel == null) {
            return 0;
        }
        int room = limit.bytes() - queued;
        // Somebody who wants to send a whole unit may turn away before the room is quite used up.
        if (room < Frame.MAX_LENGTH && !starved) {
            starved = true;
            limit.reached();
        }
        return room;
    }

    Frame begin(int capacity) {
        if (capacity < 0 || capacity > Frame.MAX_LENGTH) {
            throw new IllegalArgumentException("a frame of " + capacity + " bytes, the limit is " + Frame.MAX_LENGTH);
        }
        if (capacity > longestPlain || channel == null || !fits(prefix + capacity)) {
            if (aside == MemorySegment.NULL) {
                aside = Arena.ofAuto().allocate(Frame.MAX_LENGTH, 64);
            }
            return frame.set(aside, 0, capacity);
        }
        int length = prefix + capacity;
        Chunk chunk = chunkFor(length);
        frame.set(chunk.bytes, chunk.filled + prefix, capacity);
        if (length >= LONG) {
            frame.row(Math.min(CHUNK - chunk.filled, limit.bytes() + RESERVE - queued) / length, length);
        }
        return frame;
    }

    private boolean fits(int length) {
        return queued + length <= limit.bytes() + RESERVE;
    }

    private Chunk chunkFor(int length) {
        Chunk last = chunks.peekLast();
        if (last != null && CHUNK - last.filled >= length) {
            return last;
        }
        Chunk next = free.pollFirst();
        if (next == null) {
            next = new Chunk();
        }
        chunks.addLast(next);
        mostChunks = Math.max(mostChunks, chunks.size());
        return next;
    }

    void send(Frame sent) {
        if (channel == null) {
            counters.dropToGuest();
            return;
        }
        if (offload.carriesUnits()) {
            sendUndone(sent);
            return;
        }
        int segments = segmenter.begin(sent);
        if (segments > 1) {
            cut(sent, segments);
        } else if (segments == Segmenter.MALFORMED
                || sent.length() > framing.longest()
                || !fits(prefix + sent.length())
                || !Segmenter.complete(sent)) {
            counters.dropToGuest();
        } else {
            append(sent);
        }
    }

    /** Behind a header that says what is left to the guest. */
    private void sendUndone(Frame sent) {
        int length = prefix + sent.length();
        if (!fits(length)) {
            counters.dropToGuest();
            return;
        }
        Chunk chunk = chunkFor(length);
        if (VirtioNetHeader.write(sent, chunk.bytes, chunk.filled + framing.prefix(), 1)) {
            append(sent);
        } else {
            counters.dropToGuest();
        }
    }

    private void append(Frame sent) {
        int length = sent.length();
        Chunk chunk = chunkFor(prefix + length);
        if (chunk.bytes != sent.bytes() || chunk.filled + prefix != sent.offset()) {
            MemorySegment.copy(sent.bytes(), sent.offset(), chunk.bytes, chunk.filled + prefix, length);
        }
        finish(chunk, length);
    }

    private void cut(Frame unit, int segments) {
        int headerLength = segmenter.headerLength();
        long total = (long) segments * (prefix + headerLength) + segmenter.unitPayloadLength();
        if (queued + total > limit.bytes() + RESERVE) {
            // All or nothing: the receiver of half a unit would ask for the rest at once, and the queue is full.
            counters.dropToGuest(segments);
            return;
        }
        int longest = prefix + headerLength + unit.segmentSize();
        for (int i = 0; i < segments; i++) {
            Chunk chunk = chunkFor(longest);
            int at = chunk.filled + prefix;
            segmenter.next(chunk.bytes, at);
            int payloadLength = segmenter.payloadLength();
            MemorySegment.copy(unit.bytes(), segmenter.payloadOffset(), chunk.bytes, at + headerLength, payloadLength);
            finish(chunk, headerLength + payloadLength);
        }
    }

    private void finish(Chunk chunk, int length) {
        framing.putLength(chunk.bytes, chunk.filled, offload.headerLength() + length);
        chunk.filled += prefix + length;
        queued += prefix + length;
        counters.toGuest(length);
    }

    /** Gives what is queued to the channel, as long as the kernel takes it at once. */
    void flush() {
        if (inFlush) {
            return;
        }
        inFlush = true;
        try {
            while (channel != null && writing == 0 && writeOne()) {
                // The channel has taken one piece; the next follows.
            }
        } finally {
            inFlush = false;
        }
    }

    private boolean writeOne() {
        Chunk chunk = chunks.peekFirst();
        while (chunk != null && chunk.taken == chunk.filled) {
            if (chunks.size() == 1) {
                chunk.taken = 0;
                chunk.filled = 0;
                return false;
            }
            recycle(chunks.removeFirst());
            chunk = chunks.peekFirst();
        }
        if (chunk == null) {
            return false;
        }
        writing = chunk.filled - chunk.taken;
        chunk.buffer.setIndex(chunk.taken, chunk.filled).retain();
        channel.writeAndFlush(chunk.buffer).addListener(this);
        return true;
    }

    /** A write has ended; from within {@link #flush} if the kernel took it at once. */
    @Override
    public void operationComplete(ChannelFuture write) {
        if (write.channel() != channel) {
            return;
        }
        if (!write.isSuccess()) {
            // Its channel closes, or has: nothing is written any more until the next connection.
            return;
        }
        chunks.getFirst().taken += writing;
        queued -= writing;
        limit.taken(writing);
        writing = 0;
        flush();
        if (starved && queued <= limit.bytes() / 2) {
            starved = false;
            limit.left();
            roomAgain.run();
        }
    }

    /** Bytes queued. */
    int queued() {
        return queued;
    }

    /** Whether no buffer is held by the channel; to be asked while nothing is queued. */
    boolean isUnshared() {
        return Stream.of(chunks, free, held)
                .allMatch(some -> some.stream().allMatch(chunk -> chunk.buffer.refCnt() == 1));
    }
}
