package dev.slipway.posix;

import dev.slipway.posix.SystemCall.Number;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** What a test needs of Unix sockets beyond what the program does: pairs, and descriptors sent along with bytes. */
public final class PassedDescriptors {

    private static final int SCM_RIGHTS = 1;
    private static final int NON_BLOCKING = 0x800;
    private static final int MSG_NOSIGNAL = 0x4000;

    private PassedDescriptors() {}

    /** Two sockets that are connected to each other and do not block. */
    public static int[] pair(int type) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment fds = arena.allocate(8, 8);
            check(new SystemCall()
                    .call(Number.SOCKETPAIR, Sockets.AF_UNIX, type | NON_BLOCKING, 0, fds.address(), 0, 0));
            return new int[] {fds.get(ValueLayout.JAVA_INT, 0), fds.get(ValueLayout.JAVA_INT, 4)};
        }
    }

    /** Sends bytes to the peer of a connected socket, and descriptors with them. */
    public static void send(int socket, byte[] bytes, int... descriptors) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment payload = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
            MemorySegment vector = arena.allocate(16, 8);
            vector.set(ValueLayout.JAVA_LONG, 0, payload.address());
            vector.set(ValueLayout.JAVA_LONG, 8, bytes.length);
            long controlLength = 16 + 4L * descriptors.length;
            MemorySegment control = arena.allocate(controlLength, 8);
            control.set(ValueLayout.JAVA_LONG, 0, controlLength);
            control.set(ValueLayout.JAVA_INT, 8, Sockets.SOL_SOCKET);
            control.set(ValueLayout.JAVA_INT, 12, SCM_RIGHTS);
            MemorySegment.copy(descriptors, 0, control, ValueLayout.JAVA_INT, 16, descriptors.length);
            MemorySegment message = arena.allocate(56, 8);
            message.set(ValueLayout.JAVA_LONG, 16, vector.address());
            message.set(ValueLayout.JAVA_LONG, 24, 1);
            message.set(ValueLayout.JAVA_LONG, 32, control.address());
            message.set(ValueLayout.JAVA_LONG, 40, descriptors.length == 0 ? 0 : controlLength);
            check(new SystemCall().call(Number.SENDMSG, socket, message.address(), MSG_NOSIGNAL));
        }
    }

    private static void check(long result) throws IOException {
        if (result < 0) {
            throw new IOException(Errno.name(-result));
        }
    }
}
