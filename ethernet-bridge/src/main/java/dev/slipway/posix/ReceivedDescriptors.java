package dev.slipway.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * Room for the descriptors that come with bytes of a Unix socket (SCM_RIGHTS, unix(7)), at most {@link #MAX}. From the
 * call on they belong to this process: who receives them closes them.
 *
 * <pre>
 *  struct msghdr   0 name  8 its length  16 iovec  24 number of iovecs  32 control  40 its length  48 flags
 *  struct cmsghdr  0 length              8 level   12 type              16 descriptors of 4 bytes …
 * </pre>
 */
public final class ReceivedDescriptors {

    /** The most descriptors that are taken; the kernel closes those beyond, and {@link #isCut} tells. */
    public static final int MAX = 8;

    private static final int HEADER = 56;
    private static final int VECTOR = 16;
    private static final int CONTROL_HEADER = 16;
    private static final int CONTROL = CONTROL_HEADER + MAX * 4;
    private static final int SCM_RIGHTS = 1;
    private static final int MSG_CTRUNC = 0x8;

    private final MemorySegment memory = Arena.ofAuto().allocate(HEADER + VECTOR + CONTROL, 8);
    private final int[] descriptors = new int[MAX];
    private int count;
    private boolean cut;

    /** How many came with the bytes received last. */
    public int count() {
        return count;
    }

    /** One of them. */
    public int get(int index) {
        return descriptors[Objects.checkIndex(index, count)];
    }

    /** Whether there were more than there was room for. */
    public boolean isCut() {
        return cut;
    }

    /** Before a call: where the bytes go. */
    long prepare(long target, long length) {
        long base = memory.address();
        memory.fill((byte) 0);
        memory.set(ValueLayout.JAVA_LONG, 16, base + HEADER);
        memory.set(ValueLayout.JAVA_LONG, 24, 1);
        memory.set(ValueLayout.JAVA_LONG, 32, base + HEADER + VECTOR);
        memory.set(ValueLayout.JAVA_LONG, 40, CONTROL);
        memory.set(ValueLayout.JAVA_LONG, HEADER, target);
        memory.set(ValueLayout.JAVA_LONG, HEADER + 8, length);
        return base;
    }

    /** After a call: what came along. */
    void received(boolean anything) {
        count = 0;
        cut = false;
        if (!anything) {
            return;
        }
        cut = (memory.get(ValueLayout.JAVA_INT, 48) & MSG_CTRUNC) != 0;
        long at = HEADER + VECTOR;
        long length = memory.get(ValueLayout.JAVA_LONG, at);
        if (memory.get(ValueLayout.JAVA_LONG, 40) >= CONTROL_HEADER
                && memory.get(ValueLayout.JAVA_INT, at + 8) == Sockets.SOL_SOCKET
                && memory.get(ValueLayout.JAVA_INT, at + 12) == SCM_RIGHTS) {
            for (long fd = CONTROL_HEADER; fd + 4 <= length && count < MAX; fd += 4) {
                descriptors[count++] = memory.get(ValueLayout.JAVA_INT, at + fd);
            }
        }
    }
}
