package dev.slipway.queue;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelConfig;
import io.netty.channel.RecvByteBufAllocator;
import io.netty.util.UncheckedBooleanSupplier;

/**
 * Says how much a channel reads: while the queue has room, into the queue's last buffer, and into buffers as large as
 * the host's bursts.
 *
 * <p>Netty's epoll channel reads without being asked when the host has ended its stream or the connection is broken,
 * and then until the end. That would put all that the kernel holds, megabytes, into memory. So allocating a
 * buffer throws {@link QueueFull} when there is no room, which ends the reading; what is left stays in the kernel.
 */
public final class ReadLimit implements RecvByteBufAllocator {

    public static final int MIN = 2 << 10;
    private static final int MAX = 64 << 10;

    private final Reader stream;

    /** Who reads, and knows how much room there is. */
    public interface Reader {

        /** Whether there is room for another read. */
        boolean mayRead();

        /** The channel begins to read: what {@code read()} asked for is used up. */
        void readBegins();

        /**
         * A buffer to read into.
         *
         * @param size in bytes that recent reads make reasonable
         * @throws QueueFull if there is no room
         */
        ByteBuf readTarget(ByteBufAllocator allocator, int size);
    }

    /** A limit that a reader sets. */
    public ReadLimit(Reader stream) {
        this.stream = stream;
    }

    /** Thrown into Netty's read loop to stop it. */
    public static final class QueueFull extends RuntimeException {
        private static final long serialVersionUID = 1;
        public static final QueueFull INSTANCE = new QueueFull();

        private QueueFull() {
            super("no room to read into", null, false, false);
        }
    }

    @Override
    @SuppressWarnings("deprecation") // Netty deprecates the type of what its own channels ask for
    public Handle newHandle() {
        return new Reading(stream);
    }

    @SuppressWarnings("deprecation")
    private static final class Reading implements ExtendedHandle {
        private final Reader stream;
        private int size = MIN;
        private int attempted;
        private int last;

        Reading(Reader stream) {
            this.stream = stream;
        }

        @Override
        public void reset(ChannelConfig config) {
            stream.readBegins();
        }

        @Override
        public ByteBuf allocate(ByteBufAllocator allocator) {
            return stream.readTarget(allocator, size);
        }

        @Override
        public int guess() {
            return size;
        }

        @Override
        public void incMessagesRead(int messages) {}

        @Override
        public void attemptedBytesRead(int bytes) {
            attempted = bytes;
        }

        @Override
        public int attemptedBytesRead() {
            return attempted;
        }

        @Override
        public void lastBytesRead(int bytes) {
            last = bytes;
            if (bytes == attempted) {
                size = Math.min(size << 2, MAX);
            } else if (bytes < size >> 2) {
                size = Math.max(size >> 1, MIN);
            }
        }

        @Override
        public int lastBytesRead() {
            return last;
        }

        @Override
        public boolean continueReading() {
            return last == attempted && stream.mayRead();
        }

        @Override
        public boolean continueReading(UncheckedBooleanSupplier maybeMore) {
            return continueReading();
        }

        @Override
        public void readComplete() {}
    }
}
