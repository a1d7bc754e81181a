package dev.slipway.posix;

import dev.slipway.posix.SystemCall.Number;
import dev.slipway.wire.BigEndian;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * Room for the datagrams that one call receives, and where each came from. IPv4 sockets only.
 *
 * <p>Each slot takes the largest datagram there is, so none is cut off. The slots are address space of their own, of
 * which the kernel backs only the pages that a datagram has reached: 128 KiB for the small ones of a usual network, 2
 * MiB at most. Memory from an {@link Arena} would be zeroed, and so be backed, from the beginning.
 */
public final class ReceiveBatch {

    /** Datagrams that one call receives at most. */
    public static final int SLOTS = 32;

    private static final int SLOT = 64 << 10;
    private static final long AREA = (long) SLOTS * SLOT;
    private static final int NAME = 16;

    private static final int PROT_READ_WRITE = 0x3;
    private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
    private static final int MADV_NOHUGEPAGE = 15;

    private final MessageHeaders headers = new MessageHeaders(SLOTS);
    private final MemorySegment area = map();
    private final MemorySegment names = Arena.ofAuto().allocate((long) SLOTS * NAME, 8);
    private int size;

    /**
     * Reserves the slots; they are given back when nobody refers to this any more.
     *
     * @throws IllegalStateException if the process has no address space left
     */
    public ReceiveBatch() {
        for (int i = 0; i < SLOTS; i++) {
            headers.setPiece(i, area.address() + offset(i), SLOT);
            headers.setName(i, names.address() + (long) i * NAME, NAME);
        }
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

    /** The IPv4 address that a datagram came from, network order. */
    public int source(int index) {
        return BigEndian.i32(names, (long) Objects.checkIndex(index, size) * NAME + 4);
    }

    /** The port that a datagram came from. */
    public int sourcePort(int index) {
        return BigEndian.u16(names, (long) Objects.checkIndex(index, size) * NAME + 2);
    }

    /** Before a call: the kernel has changed the lengths of the addresses that it filled in. */
    void clear() {
        for (int i = 0; i < size; i++) {
            headers.setName(i, names.address() + (long) i * NAME, NAME);
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
