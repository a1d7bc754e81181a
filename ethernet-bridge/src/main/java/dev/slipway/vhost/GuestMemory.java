package dev.slipway.vhost;

import dev.slipway.posix.SharedFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The guest's memory as the front-end has passed it: regions, each mapped and bounded. Descriptors name addresses of the
 * guest's physical memory, the front-end's messages those of its own; both are looked up here, and neither is ever used
 * unchecked.
 *
 * <p>Limits: {@link #MAX_REGIONS}, which overlap in neither address space.
 */
final class GuestMemory implements AutoCloseable {

    /** What GET_MAX_MEM_SLOTS answers. */
    static final int MAX_REGIONS = 64;

    /** What {@link #find} says of an address in no region. */
    static final int NOWHERE = -1;

    private final long[] starts = new long[MAX_REGIONS];
    private final long[] users = new long[MAX_REGIONS];
    private final long[] sizes = new long[MAX_REGIONS];
    private final MemorySegment[] bytes = new MemorySegment[MAX_REGIONS];
    private final Arena[] arenas = new Arena[MAX_REGIONS];
    private int count;
    private int last;

    /**
     * Adds a region. The calling thread is the only one that may use it.
     *
     * @param guest where it begins in the guest's physical memory
     * @param user where it begins in the front-end's
     * @param size in bytes
     * @param offset where it begins in the file
     * @param fd the file; stays the caller's
     * @return whether the file is sealed against being made shorter
     * @throws ProtocolViolation if it cannot be
     */
    boolean add(long guest, long user, long size, long offset, int fd) throws ProtocolViolation {
        if (count == MAX_REGIONS) {
            throw new ProtocolViolation("more than " + MAX_REGIONS + " regions of memory");
        }
        if (size <= 0 || guest < 0 || guest + size < 0 || Long.compareUnsigned(user + size - 1, user) < 0) {
            throw new ProtocolViolation("a region of " + Long.toUnsignedString(size) + " bytes at 0x"
                    + Long.toHexString(guest) + " cannot be");
        }
        for (int i = 0; i < count; i++) {
            if (overlap(starts[i], sizes[i], guest, size) || overlap(users[i], sizes[i], user, size)) {
                throw new ProtocolViolation("regions of memory overlap at 0x" + Long.toHexString(guest));
            }
        }
        boolean sealed = SharedFile.keepFromShrinking(fd);
        Arena arena = Arena.ofConfined();
        try {
            bytes[count] = SharedFile.map(fd, offset, size, arena);
        } catch (IOException e) {
            arena.close();
            throw new ProtocolViolation("no memory at 0x" + Long.toHexString(guest) + ": " + e.getMessage());
        }
        arenas[count] = arena;
        starts[count] = guest;
        users[count] = user;
        sizes[count] = size;
        count++;
        return sealed;
    }

    /** Two ranges that each end within 64 bits. */
    private static boolean overlap(long one, long oneSize, long other, long otherSize) {
        return Long.compareUnsigned(one, other + otherSize - 1) <= 0
                && Long.compareUnsigned(other, one + oneSize - 1) <= 0;
    }

    /** Removes the region with exactly these values, and says whether there was one. */
    boolean remove(long guest, long user, long size) {
        for (int i = 0; i < count; i++) {
            if (starts[i] == guest && users[i] == user && sizes[i] == size) {
                arenas[i].close();
                count--;
                starts[i] = starts[count];
                users[i] = users[count];
                sizes[i] = sizes[count];
                bytes[i] = bytes[count];
                arenas[i] = arenas[count];
                bytes[count] = null;
                arenas[count] = null;
                last = 0;
                return true;
            }
        }
        return false;
    }

    /** How many regions there are. */
    int regions() {
        return count;
    }

    /** The region that holds a physical address of the guest's, or {@link #NOWHERE}. */
    int find(long address) {
        if (last < count && isIn(last, address)) {
            return last;
        }
        for (int i = 0; i < count; i++) {
            if (isIn(i, address)) {
                last = i;
                return i;
            }
        }
        return NOWHERE;
    }

    private boolean isIn(int region, long address) {
        return Long.compareUnsigned(address - starts[region], sizes[region]) < 0;
    }

    /** The bytes of a region. */
    MemorySegment bytes(int region) {
        return bytes[region];
    }

    /** Where an address lies in the region that was found for it. */
    long offset(int region, long address) {
        return address - starts[region];
    }

    /** Part of one region by the front-end's address; null if no region holds all of it. */
    MemorySegment byUserAddress(long address, long length) {
        for (int i = 0; i < count; i++) {
            long offset = address - users[i];
            if (Long.compareUnsigned(offset, sizes[i]) < 0 && length <= sizes[i] - offset) {
                return bytes[i].asSlice(offset, length);
            }
        }
        return null;
    }

    /**
     * Copies guest memory, which may lie in several regions, to private memory.
     *
     * @throws RingViolation if some of it is not the guest's
     */
    void copyOut(long address, int length, MemorySegment target) throws RingViolation {
        long at = address;
        int done = 0;
        while (done < length) {
            int region = find(at);
            if (region == NOWHERE) {
                throw new RingViolation("no memory of the guest's at 0x" + Long.toHexString(at));
            }
            long offset = offset(region, at);
            int piece = (int) Math.min(length - done, sizes[region] - offset);
            MemorySegment.copy(bytes[region], offset, target, done, piece);
            done += piece;
            at += piece;
        }
    }

    /** Lets go of all memory. */
    @Override
    public void close() {
        while (count > 0) {
            count--;
            arenas[count].close();
            arenas[count] = null;
            bytes[count] = null;
        }
        last = 0;
    }
}
