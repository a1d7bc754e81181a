package dev.slipway.vhost;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Reads the chain of descriptors that begins at a head (virtio 1.3, section 2.7.5). The guest may write to them at any
 * moment, so each field is read once, and only what was read is checked and used; an indirect table is copied first.
 *
 * <pre>
 *  0                  8          12       14       16
 *  +------------------+----------+--------+--------+
 *  | address          | length   | flags  | next   |
 *  +------------------+----------+--------+--------+
 * </pre>
 *
 * <p>Limits: a chain has at most as many direct descriptors as its ring has entries, an indirect table {@link
 * #MAX_PIECES}; all of a chain makes at most {@link #MAX_PIECES} pieces of memory and {@link #MAX_BYTES} bytes.
 */
final class ChainReader {

    /** Pieces of one chain. */
    static final int MAX_PIECES = 1024;

    /** Bytes of one chain: far more than any frame. */
    static final int MAX_BYTES = 1 << 26;

    static final int DESCRIPTOR = 16;

    private static final int LENGTH = 8;
    private static final int FLAGS = 12;
    private static final int NEXT = 14;
    private static final int FLAG_NEXT = 1;
    private static final int FLAG_WRITE = 2;
    private static final int FLAG_INDIRECT = 4;

    private static final ValueLayout.OfLong U64 = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt U32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort U16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final GuestMemory memory;
    private final boolean takesIndirect;
    private final MemorySegment copied = Arena.ofAuto().allocate(MAX_PIECES * DESCRIPTOR, 16);
    private int pieces;
    private long bytes;

    /** @param takesIndirect whether indirect descriptors were agreed on */
    ChainReader(GuestMemory memory, boolean takesIndirect) {
        this.memory = memory;
        this.takesIndirect = takesIndirect;
    }

    /**
     * Reads one chain.
     *
     * @param descriptors the ring's
     * @param entries how many there are
     * @param writable whether its buffers are for this side to write to; if not, to read from
     * @return bytes of all pieces
     * @throws RingViolation if there is no such chain
     */
    int read(MemorySegment descriptors, int entries, int head, boolean writable, Pieces into) throws RingViolation {
        MemorySegment table = descriptors;
        int size = entries;
        int index = head;
        int left = entries;
        boolean isIndirect = false;
        pieces = 0;
        bytes = 0;
        while (true) {
            if (index >= size) {
                throw new RingViolation("descriptor " + index + " of " + size);
            }
            if (left-- == 0) {
                throw new RingViolation("a chain of more than " + size + " descriptors");
            }
            long at = (long) index * DESCRIPTOR;
            long address = table.get(U64, at);
            int length = table.get(U32, at + LENGTH);
            int flags = table.get(U16, at + FLAGS);
            if ((flags & FLAG_INDIRECT) != 0) {
                if (isIndirect || !takesIndirect || (flags & FLAG_NEXT) != 0) {
                    throw new RingViolation(
                            isIndirect
                                    ? "an indirect table within an indirect table"
                                    : takesIndirect
                                            ? "an indirect table with a descriptor behind it"
                                            : "an indirect table, which was not agreed on");
                }
                if (length <= 0 || length % DESCRIPTOR != 0 || length > MAX_PIECES * DESCRIPTOR) {
                    throw new RingViolation("an indirect table of " + Integer.toUnsignedString(length) + " bytes");
                }
                memory.copyOut(address, length, copied);
                table = copied;
                size = length / DESCRIPTOR;
                left = size;
                index = 0;
                isIndirect = true;
                continue;
            }
            if ((flags & FLAG_WRITE) != 0 != writable) {
                throw new RingViolation(
                        writable
                                ? "a buffer to receive into that is read-only"
                                : "a buffer to send that is write-only");
            }
            add(address, length, into);
            if ((flags & FLAG_NEXT) == 0) {
                return (int) bytes;
            }
            index = table.get(U16, at + NEXT) & 0xFFFF;
        }
    }

    /** One descriptor's buffer, which may go on in a region that is adjacent. */
    private void add(long address, int length, Pieces into) throws RingViolation {
        long left = Integer.toUnsignedLong(length);
        bytes += left;
        if (bytes > MAX_BYTES) {
            throw new RingViolation("a chain of more than " + MAX_BYTES + " bytes");
        }
        long at = address;
        while (left > 0) {
            int region = memory.find(at);
            if (region == GuestMemory.NOWHERE) {
                throw new RingViolation("no memory of the guest's at 0x" + Long.toHexString(at));
            }
            if (++pieces > MAX_PIECES) {
                throw new RingViolation("a chain of more than " + MAX_PIECES + " pieces");
            }
            MemorySegment segment = memory.bytes(region);
            long offset = memory.offset(region, at);
            int piece = (int) Math.min(left, segment.byteSize() - offset);
            into.add(segment, offset, piece);
            left -= piece;
            at += piece;
        }
    }
}
