package dev.slipway.posix;

import dev.slipway.posix.SystemCall.Number;
import dev.slipway.wire.BigEndian;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * Room for the datagrams or packets that one call receives, and where each came from: sockets of one IP family, of both, or
 * Unix sockets.
 *
 * <p>Each slot takes the largest datagram of IPv4 there is, so none is cut off; a Unix socket's may be larger, and then
 * {@link #isCut} tells. The slots are address space of their own, of
 * which the kernel backs only the pages that a datagram has reached: 128 KiB for the small ones of a usual network,
 * 2,176 KiB at most. Memory from an {@link Arena} would be zeroed, and so be backed, from the beginning.
 */
public final class ReceiveBatch {

    /** Datagrams that one call receives at most. */
    public static final int SLOTS = 32;

    /** Bytes of a datagram that are kept: the largest frame behind a virtio-net header fits, too. */
    public static final int SLOT_BYTES = 68 << 10;

    private static final int SLOT = SLOT_BYTES;
    private static final long AREA = (long) SLOTS * SLOT;
    private static final int NAME = 16;
    private static final int NAME_V6 = 32;
    private static final int NAME_UNIX = 112;
    private static final int MSG_TRUNC = 0x20;

    private static final int PROT_READ_WRITE = 0x3;
    private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
    private static final int MADV_NOHUGEPAGE = 15;

    private final MessageHeaders headers = new MessageHeaders(SLOTS);
    private final MemorySegment area = map();
    private final int nameSize;
    private final MemorySegment names;
    private int size;

    /**
     * Reserves the slots for an IPv4 socket; they are given back when nobody refers to this any more.
     *
     * @throws IllegalStateException if the process has no address space left
     */
    public ReceiveBatch() {
        this(false);
    }

    /**
     * The same for sockets of either family.
     *
     * @throws IllegalStateException if the process has no address space left
     */
    public ReceiveBatch(boolean ipv6) {
        this(ipv6 ? NAME_V6 : NAME);
    }

    private ReceiveBatch(int nameSize) {
        this.nameSize = nameSize;
        names = Arena.ofAuto().allocate((long) SLOTS * nameSize, 8);
        for (int i = 0; i < SLOTS; i++) {
            headers.setPiece(i, area.address() + offset(i), SLOT);
            headers.setName(i, nameAddress(i), nameSize);
        }
    }

    /**
     * The same for Unix sockets.
     *
     * @throws IllegalStateException if the process has no address space left
     */
    public static ReceiveBatch ofUnixSocket() {
        return new ReceiveBatch(NAME_UNIX);
    }

    private static MemorySegment map() {
        SystemCall kernel = new SystemCall();
        long address = kernel.call(Number.MMAP, 0, AREA, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
        if (address < 0) {
            throw new IllegalStateException("cannot reserve memory for datagrams: " + Errno.name(-address));
        }
        // One huge page would back all slots at the first byte. A kernel without them refuses, which is as good.
        kernel.call(Number.MADVISE, address, AREA, MADV_NOHUGEPAGE);
        return MemorySegment.ofAddress(address).reinterpret(AREA, Arena.ofAuto(), ReceiveBatch::unmap);
    }

    private static void unmap(MemorySegment mapped) {
        // On another thread, so by another instance.
        new SystemCall().call(Number.MUNMAP, mapped.address(), AREA, 0);
    }

    /** Datagrams that the last call received. */
    public int size() {
        return size;
    }

    /** The memory that all datagrams lie in; the next call overwrites it. */
    public MemorySegment memory() {
        return area;
    }

    /** Where a datagram begins. */
    public long offset(int index) {
        return (long) index * SLOT;
    }

    /** Bytes of a datagram. */
    public int length(int index) {
        return headers.length(Objects.checkIndex(index, size));
    }

    /** Whether a datagram was longer than its slot, {@link #SLOT_BYTES}; what exceeds it is lost. */
    public boolean isCut(int index) {
        return (headers.flags(Objects.checkIndex(index, size)) & MSG_TRUNC) != 0;
    }

    /** Whether a datagram came from a certain address. */
    public boolean isFrom(int index, SocketAddress address) {
        return address.equals(names, (long) Objects.checkIndex(index, size) * nameSize, headers.nameLength(index));
    }

    /** Tells where a datagram came from. */
    public void source(int index, SocketAddress address) {
        address.set(names, (long) Objects.checkIndex(index, size) * nameSize, headers.nameLength(index));
    }

    /** The IPv4 address that a datagram came from, network order. */
    public int source(int index) {
        return BigEndian.i32(names, (long) Objects.checkIndex(index, size) * nameSize + 4);
    }

    /** The first 64 bits of the IPv6 address that a datagram came from. */
    public long sourceHigh(int index) {
        return BigEndian.i64(names, (long) Objects.checkIndex(index, size) * nameSize + 8);
    }

    /** The last 64 bits of the IPv6 address that a datagram came from. */
    public long sourceLow(int index) {
        return BigEndian.i64(names, (long) Objects.checkIndex(index, size) * nameSize + 16);
    }

    private long nameAddress(int index) {
        return names.address() + (long) index * nameSize;
    }

    /** The port that a datagram came from. */
    public int sourcePort(int index) {
        return BigEndian.u16(names, (long) Objects.checkIndex(index, size) * nameSize + 2);
    }

    /** Before a call: the kernel has changed the lengths of the addresses that it filled in. */
    void clear() {
        for (int i = 0; i < size; i++) {
            headers.setName(i, nameAddress(i), nameSize);
        }
        size = 0;
    }

    void received(int count) {
        size = count;
    }

    long address() {
        return headers.address(0);
    }
}
