package dev.slipway.ethernet;

import dev.slipway.wire.Frame;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.channel.DefaultMaxMessagesRecvByteBufAllocator;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The bytes from the guest of a {@link StreamLink}: one buffer that every read of the connection appends to, and
 * in which frames are found and handed over in place. Frames of one read are whole; the part of one at the end moves
 * to the buffer's start before the next read.
 *
 * <p>A length of 0 is a frame of no bytes. One longer than a frame can be, but no more than {@link #MAX_SKIPPED}, is
 * stepped over as its bytes come. A longer one is no length: the framing is lost, and so is the connection.
 */
final class StreamInput extends DefaultMaxMessagesRecvByteBufAllocator {

    /** Bytes of the buffer, and so the most that one read brings. */
    static final int CAPACITY = 1024 * 1024;
    /** The longest frame that is stepped over, in bytes; a longer length ends the connection. */
    static final int MAX_SKIPPED = 128 * 1024;
    /** Reads per turn of the event loop, so that one guest leaves time for what else the loop does. */
    private static final int READS_PER_TURN = 2;

    private final StreamFraming framing;
    private final Offload offload;
    private final int longestPlain;
    private final LinkCounters counters;
    private final Frame frame = new Frame();
    private MemorySegment bytes = MemorySegment.NULL;
    private ByteBuf buffer = Unpooled.EMPTY_BUFFER;
    private int parsed;
    private int skip;
    private int skipLength;
    private boolean open;

    /** @param longestPlain bytes of the longest frame that is no large unit */
    StreamInput(StreamFraming framing, Offload offload, int longestPlain, LinkCounters counters) {
        super(READS_PER_TURN);
        this.framing = framing;
        this.offload = offload;
        this.longestPlain = longestPlain;
        this.counters = counters;
    }

    /** Begins a connection. */
    void open() {
        if (bytes == MemorySegment.NULL) {
            // Let go of with the link; not zeroed again for each connection, only bytes that were read are looked at.
            bytes = Arena.ofAuto().allocate(CAPACITY, 64);
            buffer = Unpooled.wrappedBuffer(bytes.asByteBuffer());
        }
        buffer.clear();
        parsed = 0;
        skip = 0;
        open = true;
    }

    /** Ends a connection: what was read and is not yet handed over will not be. */
    void close() {
        open = false;
    }

    @Override
    @SuppressWarnings("deprecation") // the type that the overridden method returns
    public Handle newHandle() {
        return new MaxMessageHandle() {
            @Override
            public int guess() {
                return buffer.writableBytes();
            }

            @Override
            public ByteBuf allocate(ByteBufAllocator allocator) {
                return buffer.retain();
            }
        };
    }

    /** Takes what came by a read that was not into this object's buffer; there is room, as for that read. */
    void append(ByteBuf read) {
        if (read != buffer) {
            buffer.writeBytes(read);
        }
    }

    /**
     * Hands over the frames that the last read completed.
     *
     * @return null, or why the framing is lost
     */
    String deliver(GuestEvents events) {
        int end = buffer.writerIndex();
        int prefix = framing.prefix();
        while (open) {
            if (skip > 0) {
                int stepped = Math.min(skip, end - parsed);
                skip -= stepped;
                parsed += stepped;
            }
            if (end - parsed < prefix) {
                break;
            }
            long length = framing.length(bytes, parsed);
            if (length > MAX_SKIPPED) {
                counters.lostFraming();
                return "the guest sent a frame length of " + length + " bytes, the limit is " + MAX_SKIPPED;
            }
            if (length > Frame.MAX_LENGTH + offload.headerLength()) {
                counters.skippedOversize();
                parsed += prefix;
                skip = skipLength = (int) length;
                continue;
            }
            if (end - parsed - prefix < length) {
                break;
            }
            int at = parsed + prefix;
            parsed = at + (int) length;
            if (offload.read(bytes, at, (int) length, frame, longestPlain)) {
                counters.fromGuest(frame.length());
                events.frame(frame);
            } else {
                counters.badOffload();
            }
        }
        return null;
    }

    /** Bytes that were read and not yet handed over. */
    int available() {
        return buffer.writerIndex() - parsed;
    }

    /** Takes bytes that are no frames from the front of what was read. */
    void take(byte[] target, int length) {
        MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, parsed, target, 0, length);
        parsed += length;
    }

    /** Makes room for the next read, after the end of the batch: until then the frames' bytes stay where they are. */
    void compact() {
        int rest = buffer.writerIndex() - parsed;
        if (parsed > 0 && rest > 0) {
            MemorySegment.copy(bytes, parsed, bytes, 0, rest);
        }
        parsed = 0;
        buffer.setIndex(0, rest);
    }

    /** Where in the stream of frames the connection ended, for people; empty between two frames. */
    String position() {
        int rest = buffer.writerIndex() - parsed;
        if (skip > 0) {
            return " in the middle of a frame (" + (skipLength - skip) + " of " + skipLength + " bytes)";
        }
        if (rest == 0) {
            return "";
        }
        int prefix = framing.prefix();
        if (rest < prefix) {
            return " in the middle of a frame's length (" + rest + " of " + prefix + " bytes)";
        }
        return " in the middle of a frame (" + (rest - prefix) + " of " + framing.length(bytes, parsed) + " bytes)";
    }

    /** Whether nobody but this object holds the buffer; false is a leak. */
    boolean isUnshared() {
        return buffer == Unpooled.EMPTY_BUFFER || buffer.refCnt() == 1;
    }
}
