package dev.slipway.posix;

import dev.slipway.wire.IpAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * Datagrams to one destination that one call sends. It holds addresses only: the caller keeps the memory of the
 * datagrams alive and as it is until the call.
 *
 * <p>Datagrams of one size that follow each other go through the kernel as one message, which it cuts at its very end
 * (UDP_SEGMENT, udp(7), from Linux 4.18 on); the last of them may be shorter. So a batch has fewer messages than
 * datagrams. A kernel or a way that cannot do that refuses such a message, and then {@link #split} makes one message of
 * each datagram.
 *
 * <pre>
 *   datagrams   [100][100][100][40] [700][700] [0]
 *   messages    └─────── 0 ───────┘ └── 1 ───┘ └2┘
 * </pre>
 */
public final class SendBatch {

    /** Datagrams of one message at most: UDP_MAX_SEGMENTS of older kernels. */
    private static final int SEGMENTS_MAX = 64;

    /** Bytes of one message at most; the kernel holds it as one packet for a while. */
    private static final int MESSAGE_MAX = 65_000;

    private static final int SOL_UDP = 17;
    private static final int UDP_SEGMENT = 103;
    private static final int CONTROL_LENGTH = 18;
    private static final int CONTROL_SPACE = 24;

    private final int capacity;
    private final MessageHeaders headers;
    private final MemorySegment controls;
    private final SocketAddress destination = new SocketAddress();
    /** Of each message, which datagram it begins with, how many it has, and the bytes of all but the last. */
    private final int[] first;

    private final int[] count;
    private final int[] segment;
    private int size;
    private int messages;
    private boolean connected;
    private int segmentMax;
    private int messageBytes;
    private boolean open;

    /** Room for some datagrams, 1 to {@link IoVectors#MAX}, which is also what one call takes. */
    public SendBatch(int capacity) {
        if (capacity < 1 || capacity > IoVectors.MAX) {
            throw new IllegalArgumentException("a batch of 1 to " + IoVectors.MAX + " datagrams, not " + capacity);
        }
        this.capacity = capacity;
        headers = new MessageHeaders(capacity);
        first = new int[capacity];
        count = new int[capacity];
        segment = new int[capacity];
        controls = Arena.ofAuto().allocate((long) capacity * CONTROL_SPACE, 8);
        for (int i = 0; i < capacity; i++) {
            long at = (long) i * CONTROL_SPACE;
            controls.set(ValueLayout.JAVA_LONG, at, CONTROL_LENGTH);
            controls.set(ValueLayout.JAVA_INT, at + 8, SOL_UDP);
            controls.set(ValueLayout.JAVA_INT, at + 12, UDP_SEGMENT);
        }
    }

    /**
     * Empties the batch and names where the datagrams added next go: an IPv4 address (network order) and a port.
     *
     * @param largestSegment datagrams of more bytes are messages of their own; 0 makes one message of each
     */
    public SendBatch to(int ipv4, int port, int largestSegment) {
        destination.set(ipv4, port);
        return emptied(false, largestSegment);
    }

    /** The same for an address of either family. */
    public SendBatch to(IpAddress address, int port, int largestSegment) {
        destination.set(address, port);
        return emptied(false, largestSegment);
    }

    /** The same for the peer that the socket is connected to. */
    public SendBatch toPeer(int largestSegment) {
        return emptied(true, largestSegment);
    }

    private SendBatch emptied(boolean toPeer, int largestSegment) {
        connected = toPeer;
        segmentMax = largestSegment;
        clear();
        return this;
    }

    /**
     * Empties the batch and names where the datagrams added next go, each as a message of its own.
     *
     * @param peer an address, which is copied; one that names nobody for the peer of a connected socket
     */
    public SendBatch to(SocketAddress peer) {
        destination.set(peer);
        segmentMax = 0;
        clear();
        return this;
    }

    public void clear() {
        size = 0;
        messages = 0;
        open = false;
    }

    public boolean isFull() {
        return size == capacity;
    }

    /** Datagrams added. */
    public int size() {
        return size;
    }

    /** Messages that the datagrams make. */
    public int messages() {
        return messages;
    }

    /** Datagrams of a message. */
    public int datagrams(int message) {
        return count[Objects.checkIndex(message, messages)];
    }

    /** Bytes of each datagram of a message but the last, which may have fewer. */
    public int segment(int message) {
        return segment[Objects.checkIndex(message, messages)];
    }

    /** Adds a datagram; an empty one too. */
    public void add(MemorySegment memory, long offset, long length) {
        Objects.checkFromIndexSize(offset, length, memory.byteSize());
        if (!memory.isNative()) {
            throw new IllegalArgumentException("a datagram of a batch lies in native memory, not in an array");
        }
        if (size == capacity) {
            throw new IndexOutOfBoundsException("more than " + capacity + " datagrams");
        }
        headers.setPiece(size, memory.address() + offset, length);
        if (continues(length)) {
            append((int) length);
        } else {
            begin(size, (int) Math.min(length, Integer.MAX_VALUE));
        }
        size++;
    }

    private boolean continues(long length) {
        return open
                && length > 0
                && length <= segment[messages - 1]
                && messageBytes + length <= MESSAGE_MAX
                && count[messages - 1] < SEGMENTS_MAX;
    }

    private void append(int length) {
        int message = messages - 1;
        headers.setPieces(message, first[message], ++count[message]);
        if (count[message] == 2) {
            long control = (long) message * CONTROL_SPACE;
            controls.set(ValueLayout.JAVA_SHORT, control + 16, (short) segment[message]);
            headers.setControl(message, controls.address() + control, CONTROL_LENGTH);
        }
        messageBytes += length;
        open = length == segment[message];
    }

    private void begin(int datagram, int length) {
        int message = messages++;
        first[message] = datagram;
        count[message] = 1;
        segment[message] = length;
        headers.setName(message, connected ? 0 : destination.address(), connected ? 0 : destination.length());
        headers.setPieces(message, datagram, 1);
        headers.setControl(message, 0, 0);
        messageBytes = length;
        open = length > 0 && length <= segmentMax;
    }

    /** Makes one message of each datagram from the given message on; {@link #messages} changes. */
    public void split(int message) {
        int from = first[Objects.checkIndex(message, messages)];
        segmentMax = 0;
        messages = message;
        for (int datagram = from; datagram < size; datagram++) {
            begin(datagram, (int) headers.pieceLength(datagram));
        }
    }

    /** Where a message's entry lies in native memory. */
    long address(int message) {
        return headers.address(message);
    }
}
