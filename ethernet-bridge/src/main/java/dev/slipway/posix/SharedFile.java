package dev.slipway.posix;

import dev.slipway.posix.SystemCall.Number;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A file whose memory another process shares with this one, such as a VM's (memfd_create(2), shmem, hugetlbfs).
 *
 * <p>Who can make the file shorter takes pages away from under a mapping: touching them afterwards is a fault (SIGBUS),
 * which the JVM turns into an {@link InternalError} at the access or soon after. {@link #keepFromShrinking} rules that
 * out where the file can be sealed.
 */
public final class SharedFile {

    private static final int AT_EMPTY_PATH = 0x1000;
    private static final int STATX_TYPE_AND_SIZE = 0x201;
    private static final int STATX_LENGTH = 256;
    private static final int S_IFMT = 0xF000;
    private static final int S_IFREG = 0x8000;
    private static final int F_ADD_SEALS = 1033;
    private static final int F_SEAL_SHRINK = 2;
    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_SHARED = 1;
    private static final int MAP_NORESERVE = 0x4000;

    private SharedFile() {}

    /**
     * Seals a file against being made shorter, for as long as it exists.
     *
     * @return whether it is sealed; not every file can be (fcntl(2), F_ADD_SEALS)
     */
    public static boolean keepFromShrinking(int fd) {
        SystemCall kernel = new SystemCall();
        // Adding a seal that is there already is refused if the seals themselves are sealed, so ask first.
        long seals = kernel.call(Number.FCNTL, fd, F_ADD_SEALS + 1, 0);
        return seals >= 0
                && ((seals & F_SEAL_SHRINK) != 0 || kernel.call(Number.FCNTL, fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    }

    /**
     * Maps a part of a file, to read and write.
     *
     * @param fd may be closed afterwards
     * @param offset of the part in the file, in bytes; need not be that of a page
     * @param size of the part, in bytes, greater than 0
     * @param arena with whose end the mapping ends
     * @return exactly the part
     * @throws IOException if it is no regular file, does not hold the part, or cannot be mapped
     */
    public static MemorySegment map(int fd, long offset, long size, Arena arena) throws IOException {
        if (offset < 0 || size <= 0 || offset + size < 0) {
            throw new IOException("no such part of a file: " + size + " bytes at " + offset);
        }
        SystemCall kernel = new SystemCall();
        long block;
        try (Arena own = Arena.ofConfined()) {
            MemorySegment stat = own.allocate(STATX_LENGTH + 8, 8);
            long result = kernel.call(
                    Number.STATX,
                    fd,
                    stat.address() + STATX_LENGTH,
                    AT_EMPTY_PATH,
                    STATX_TYPE_AND_SIZE,
                    stat.address(),
                    0);
            if (result < 0) {
                throw new IOException("its size cannot be asked: " + Errno.name(-result));
            }
            if ((stat.get(ValueLayout.JAVA_SHORT, 28) & S_IFMT) != S_IFREG) {
                throw new IOException("it is no file of memory");
            }
            long length = stat.get(ValueLayout.JAVA_LONG, 40);
            if (offset + size > length) {
                throw new IOException("it has " + length + " bytes, and not " + size + " at " + offset);
            }
            block = Math.max(4096, Integer.toUnsignedLong(stat.get(ValueLayout.JAVA_INT, 4)));
        }
        // From the file's beginning and in whole blocks, because a huge page's own size is what munmap wants then.
        long mapped = (offset + size + block - 1) / block * block;
        long address = kernel.call(Number.MMAP, 0, mapped, PROT_READ_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        if (address < 0 && address > -4096) {
            throw new IOException("it cannot be mapped: " + Errno.name(-address));
        }
        return MemorySegment.ofAddress(address)
                .reinterpret(mapped, arena, whole -> new SystemCall().call(Number.MUNMAP, whole.address(), mapped, 0))
                .asSlice(offset, size);
    }
}
