package dev.slipway.ethernet;

import dev.slipway.posix.Errno;
import dev.slipway.posix.SendBatch;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.virtio.VirtioNetHeader;
import dev.slipway.wire.Frame;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The frames to the guest of a {@link PacketLink}: a bounded ring in which they are built, and from which they are sent
 * many in one call, each a packet of its own.
 *
 * <pre>
 *   ring  [ … free … | frame | frame | frame | … free … ]
 *                      ^ first                ^ where the next goes; at the end of the ring it goes to its beginning
 * </pre>
 *
 * <p>A frame that cannot be longer than the MTU is built where it will be sent from. A longer one may be a large unit; it
 * is built aside and cut into the ring when it is sent.
 */
final class PacketOutput {

    /** Bytes queued from which on the link is full for data that can wait. */
    static final int LIMIT = 1024 * 1024;
    /** Bytes more for frames that cannot wait; beyond them a frame is dropped. */
    static final int RESERVE = 256 * 1024;

    /** What each frame counts for beside its own bytes, so that many small ones are bounded, too. */
    private static final int OVERHEAD = 192;

    private static final int RING = 1536 * 1024;
    private static final int ENTRIES = 8192;
    private static final int BATCH = 64;

    /** What became of a {@link #flush}. */
    enum Outcome {
        /** All that was queued is sent. */
        EMPTY,
        /** The kernel takes no more just now. */
        FULL,
        /** There is no guest any more: {@link #error} says why. */
        GONE
    }

    private final Offload offload;
    private final int header;
    private final int longestPlain;
    private final LinkCounters counters;
    private final Runnable roomAgain;
    private final Segmenter segmenter = new Segmenter();
    private final Frame frame = new Frame();
    private final SendBatch batch = new SendBatch(BATCH);
    private final int[] offsets = new int[ENTRIES];
    private final int[] lengths = new int[ENTRIES];
    private MemorySegment ring = MemorySegment.NULL;
    private MemorySegment aside = MemorySegment.NULL;
    private int first;
    private int count;
    private int next;
    private int queued;
    private boolean open;
    private boolean starved;
    private int error;

    /**
     * @param longestPlain bytes of the longest frame that the guest takes: no longer one goes out uncut
     * @param roomAgain run when the room was used up and half of it is there again
     */
    PacketOutput(Offload offload, int longestPlain, LinkCounters counters, Runnable roomAgain) {
        this.offload = offload;
        this.header = offload.headerLength();
        this.longestPlain = offload.carriesUnits() ? Frame.MAX_LENGTH : longestPlain;
        this.counters = counters;
        this.roomAgain = roomAgain;
    }

    /** A guest is there. */
    void open() {
        if (ring == MemorySegment.NULL) {
            ring = Arena.ofAuto().allocate(RING, 64);
        }
        clear();
        open = true;
    }

    /** The guest is gone: what is queued is let go of. */
    void close() {
        open = false;
        clear();
    }

    private void clear() {
        first = 0;
        count = 0;
        next = 0;
        queued = 0;
        starved = false;
    }

    int room() {
        if (!open) {
            return 0;
        }
        int room = LIMIT - queued;
        // Somebody who wants to send a whole unit may turn away before the room is quite used up.
        starved |= room < Frame.MAX_LENGTH;
        return room;
    }

    Frame begin(int capacity) {
        if (capacity < 0 || capacity > Frame.MAX_LENGTH) {
            throw new IllegalArgumentException("a frame of " + capacity + " bytes, the limit is " + Frame.MAX_LENGTH);
        }
        int at = capacity > longestPlain || !open || !fits(1, header + capacity) ? -1 : place(header + capacity);
        if (at < 0) {
            if (aside == MemorySegment.NULL) {
                aside = Arena.ofAuto().allocate(Frame.MAX_LENGTH, 64);
            }
            return frame.set(aside, 0, capacity);
        }
        return frame.set(ring, at + header, capacity);
    }

    private boolean fits(int frames, int bytes) {
        return queued + frames * OVERHEAD + bytes <= LIMIT + RESERVE;
    }

    /** Where a frame of some length goes: behind the last one, or at the ring's beginning; -1 if it has no room. */
    private int place(int length) {
        if (count == 0) {
            next = 0;
            return 0;
        }
        int head = offsets[first];
        if (next > head) {
            // One byte stays free, so that a full ring does not look like an empty one.
            return RING - next >= length ? next : head > length ? 0 : -1;
        }
        return head - next > length ? next : -1;
    }

    void send(Frame sent) {
        if (!open) {
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
        } else if (segments == Segmenter.MALFORMED || !fits(1, sent.length()) || !Segmenter.complete(sent)) {
            counters.dropToGuest();
        } else {
            append(sent);
        }
    }

    /** Behind a header that says what is left to the guest. */
    private void sendUndone(Frame sent) {
        int length = header + sent.length();
        int at = fits(1, length) ? place(length) : -1;
        if (at < 0 || !VirtioNetHeader.write(sent, ring, at, 1)) {
            counters.dropToGuest();
            return;
        }
        if (sent.bytes() != ring || sent.offset() != at + header) {
            MemorySegment.copy(sent.bytes(), sent.offset(), ring, at + header, sent.length());
        }
        finish(at, length);
    }

    private void append(Frame sent) {
        int length = sent.length();
        int at = place(length);
        if (at < 0) {
            counters.dropToGuest();
            return;
        }
        if (sent.bytes() != ring || sent.offset() != at) {
            MemorySegment.copy(sent.bytes(), sent.offset(), ring, at, length);
        }
        finish(at, length);
    }

    private void cut(Frame unit, int segments) {
        int headerLength = segmenter.headerLength();
        if (!fits(segments, segments * headerLength + segmenter.unitPayloadLength())) {
            // All or nothing: the receiver of half a unit would ask for the rest at once, and the queue is full.
            counters.dropToGuest(segments);
            return;
        }
        int longest = headerLength + unit.segmentSize();
        for (int i = 0; i < segments; i++) {
            int at = place(longest);
            if (at < 0) {
                counters.dropToGuest(segments - i);
                return;
            }
            segmenter.next(ring, at);
            int payloadLength = segmenter.payloadLength();
            MemorySegment.copy(unit.bytes(), segmenter.payloadOffset(), ring, at + headerLength, payloadLength);
            finish(at, headerLength + payloadLength);
        }
    }

    private void finish(int at, int length) {
        int entry = first + count & ENTRIES - 1;
        offsets[entry] = at;
        lengths[entry] = length;
        count++;
        next = at + length;
        queued += length + OVERHEAD;
        counters.toGuest(length - header);
    }

    /** Sends what is queued, as far as the kernel takes it. */
    Outcome flush(Sockets sockets, int fd, SocketAddress nobody) {
        Outcome outcome = Outcome.EMPTY;
        while (count > 0) {
            batch.to(nobody);
            for (int i = 0; i < count && !batch.isFull(); i++) {
                int entry = first + i & ENTRIES - 1;
                batch.add(ring, offsets[entry], lengths[entry]);
            }
            int result = sockets.send(fd, batch, 0);
            if (result > 0) {
                drop(result);
            } else if (result == -Errno.EAGAIN || result == -Errno.ENOBUFS || result == -Errno.ENOMEM) {
                outcome = Outcome.FULL;
                break;
            } else if (result == -Errno.EMSGSIZE) {
                // Longer than the kernel's buffer for this socket: nothing that comes later is held up by it.
                counters.lostToGuest(lengths[first] - header);
                drop(1);
            } else if (result != -Errno.EINTR) {
                error = -result;
                return Outcome.GONE;
            }
        }
        if (starved && queued <= LIMIT / 2) {
            starved = false;
            roomAgain.run();
        }
        return outcome;
    }

    private void drop(int frames) {
        for (int i = 0; i < frames; i++) {
            queued -= lengths[first] + OVERHEAD;
            first = first + 1 & ENTRIES - 1;
        }
        count -= frames;
    }

    /** The error number of the last {@link #flush} that found the guest gone. */
    int error() {
        return error;
    }

    /** Bytes queued, overhead included. */
    int queued() {
        return queued;
    }
}
