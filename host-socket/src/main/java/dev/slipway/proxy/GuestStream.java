package dev.slipway.proxy;

import dev.slipway.queue.ByteQueue;
import dev.slipway.seam.HostStream;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;

/**
 * The guest's connection to a proxy, ended in this process: a {@link HostStream} that a {@link Service} stands behind
 * in place of a host socket.
 *
 * <p>From the guest: bytes are taken as soon as they come, since a proxy has to see a request before it can dial, and
 * wait here for the service; how many may wait is what the guest is promised. To the guest: the service sends while
 * {@link #canSend}, and is told when there is room again.
 *
 * <p>Every event goes to the stack by a task of its own, never from within a method of the seam. The service is called
 * from within {@link #flush}, {@link #discard}, {@link #shutdownOutput}, {@link #reset} and {@link #close}.
 */
final class GuestStream implements HostStream, Runnable {

    /** What waits for the guest at most, while memory is plenty, in bytes. */
    static final int TO_GUEST_MAX = 1 << 20;

    /** What is promised to the guest beyond what the service has taken, while memory is plenty. */
    static final int FROM_GUEST_MAX = 512 << 10;

    /** What is promised before the service has taken anything. */
    static final int FROM_GUEST_INITIAL = 64 << 10;

    private static final int CHUNK_MIN = 2 << 10;
    private static final int CHUNK_MAX = 64 << 10;
    /** Less than this is copied, so that a byte does not keep a large buffer. */
    private static final int SMALL = 1 << 10;

    private static final int CONNECTED = 1;
    private static final int READABLE = 2;
    private static final int WRITABLE = 4;
    private static final int RESET = 8;
    private static final int FAILED = 16;

    private final ProxyContext context;
    private final Listener listener;
    private final ByteBufAllocator allocator = PooledByteBufAllocator.DEFAULT;
    private final ByteQueue toGuest;
    private final ArrayDeque<ByteBuf> fromGuest = new ArrayDeque<>();
    private Service service;

    private ByteBuf filling;
    private MemorySegment fillingMemory;
    private int fillingLength;
    private int chunkBytes;
    private long written;
    private long consumed;
    private long promised;
    private boolean inputEnded;
    private boolean ignoring;
    private boolean outputEnded;
    private boolean full;

    private int pendingEvents;
    private boolean scheduled;
    private boolean silent;
    private boolean closed;
    private ConnectFailure failure;

    /** What stands behind a guest's connection. Told of the guest's doings, on the event loop. */
    interface Service {

        /** There are bytes to take, or no more will come. */
        void fromGuest();

        /** There is room to send again. */
        void roomToGuest();

        /**
         * The guest's connection is gone.
         *
         * @param inOrder whether both sides had ended before
         */
        void gone(boolean inOrder);
    }

    /** A connection that the guest has asked for; it is to be accepted or refused. */
    GuestStream(ProxyContext context, Listener listener) {
        this.context = context;
        this.listener = listener;
        this.toGuest = new ByteQueue(context.budget());
        this.promised = context.budget().allowance(FROM_GUEST_INITIAL);
        context.opened(this);
    }

    /** The guest is connected. */
    void accept() {
        schedule(CONNECTED);
    }

    /** The guest is not connected. */
    void refuse(ConnectFailure reason) {
        if (!closed) {
            failure = reason;
            release();
            schedule(FAILED);
        }
    }

    /** Sets who serves it from now on. */
    void service(Service next) {
        service = next;
    }

    // ---- events

    private void schedule(int event) {
        pendingEvents |= event;
        if (!scheduled && !silent) {
            scheduled = true;
            context.loop().execute(this);
        }
    }

    @Override
    public void run() {
        scheduled = false;
        int events = pendingEvents;
        pendingEvents = 0;
        if (silent) {
            return;
        }
        context.touched().run();
        try {
            tell(events);
        } catch (RuntimeException | OutOfMemoryError e) {
            context.failed().accept(e);
            reset();
        }
    }

    private void tell(int events) {
        if ((events & CONNECTED) != 0) {
            listener.connected();
        }
        if ((events & FAILED) != 0 && !silent) {
            silent = true;
            listener.failed(failure);
        }
        if ((events & READABLE) != 0 && !silent && !closed) {
            listener.readable();
        }
        if ((events & WRITABLE) != 0 && !silent && !closed) {
            listener.writable();
        }
        if ((events & RESET) != 0 && !silent) {
            silent = true;
            listener.reset();
        }
    }

    // ---- from the guest

    @Override
    public int room() {
        if (closed || inputEnded) {
            return 0;
        }
        if (consumed > 0) {
            promised = Math.max(promised, consumed + context.budget().allowance(FROM_GUEST_MAX));
        }
        return (int) Math.max(0, promised - written);
    }

    @Override
    public void write(MemorySegment source, long offset, int length) {
        written += length;
        if (ignoring || closed) {
            consumed += closed ? 0 : length;
            return;
        }
        int copied = 0;
        while (copied < length) {
            if (filling == null || fillingLength == filling.capacity()) {
                addChunk(length - copied);
            }
            int bytes = Math.min(length - copied, filling.capacity() - fillingLength);
            MemorySegment.copy(source, offset + copied, fillingMemory, fillingLength, bytes);
            fillingLength += bytes;
            filling.writerIndex(fillingLength);
            copied += bytes;
        }
    }

    private void addChunk(int wanted) {
        chunkBytes = Math.min(Math.max(Math.max(wanted, chunkBytes * 2), CHUNK_MIN), CHUNK_MAX);
        filling = allocator.directBuffer(chunkBytes, chunkBytes);
        fillingMemory = MemorySegment.ofBuffer(filling.internalNioBuffer(0, chunkBytes));
        fillingLength = 0;
        fromGuest.add(filling);
        context.budget().fromGuest(chunkBytes);
    }

    @Override
    public void flush() {
        if (!closed && (input() != null || inputEnded)) {
            service.fromGuest();
        }
    }

    @Override
    public long taken() {
        return written;
    }

    @Override
    public void shutdownOutput() {
        if (!inputEnded && !closed) {
            inputEnded = true;
            service.fromGuest();
            schedule(WRITABLE);
        }
    }

    @Override
    public boolean isOutputShutdown() {
        return inputEnded;
    }

    /** The first buffer with bytes of the guest, to be read from; {@code null} if there are none now. */
    ByteBuf input() {
        ByteBuf first = fromGuest.peek();
        return first != null && first.isReadable() ? first : null;
    }

    /**
     * Copies bytes of the guest that wait, and leaves them waiting.
     *
     * @param from how many of those that wait to leave out
     * @return bytes copied
     */
    int copyInput(int from, byte[] target, int at) {
        int skip = from;
        int copied = 0;
        for (ByteBuf buffer : fromGuest) {
            int readable = buffer.readableBytes();
            if (skip >= readable) {
                skip -= readable;
                continue;
            }
            int bytes = Math.min(readable - skip, target.length - at - copied);
            buffer.getBytes(buffer.readerIndex() + skip, target, at + copied, bytes);
            copied += bytes;
            skip = 0;
        }
        return copied;
    }

    /** Whether no more bytes will come than {@link #input} has. */
    boolean hasInputEnded() {
        return inputEnded;
    }

    /** To be called when bytes of {@link #input} were read. */
    void inputRead(int bytes) {
        consumed += bytes;
        releaseRead();
        schedule(WRITABLE);
    }

    /** Takes up to that many of the bytes; {@code null} if there are none now. */
    ByteBuf take(int limit) {
        ByteBuf first = input();
        if (first == null) {
            return null;
        }
        int bytes = Math.min(limit, first.readableBytes());
        consumed += bytes;
        schedule(WRITABLE);
        if (bytes < first.readableBytes()) {
            return first.readRetainedSlice(bytes);
        }
        fromGuest.poll();
        forget(first);
        return first;
    }

    private void releaseRead() {
        ByteBuf first = fromGuest.peek();
        if (first != null && !first.isReadable()) {
            fromGuest.poll();
            forget(first);
            first.release();
        }
    }

    private void forget(ByteBuf buffer) {
        context.budget().fromGuest(-buffer.capacity());
        if (buffer == filling) {
            filling = null;
            fillingMemory = null;
            chunkBytes = 0;
        }
    }

    /** Forgets what the guest sends from now on, because nobody is there to read it. */
    void ignoreInput() {
        ignoring = true;
        clearInput();
        schedule(WRITABLE);
    }

    private void clearInput() {
        for (ByteBuf buffer : fromGuest) {
            consumed += buffer.readableBytes();
            forget(buffer);
            buffer.release();
        }
        fromGuest.clear();
    }

    // ---- to the guest

    /** Whether there is room for more; one who sends nevertheless is not refused. */
    boolean canSend() {
        boolean room = toGuest.held() < context.budget().allowance(TO_GUEST_MAX);
        full |= !room;
        return room;
    }

    /** Sends bytes, whose reference is taken. */
    void send(ByteBuf bytes) {
        if (closed || outputEnded || !bytes.isReadable()) {
            bytes.release();
            return;
        }
        if (bytes.readableBytes() < SMALL || bytes.nioBufferCount() != 1) {
            ByteBuf target = toGuest.target(allocator, Math.max(bytes.readableBytes(), CHUNK_MIN));
            if (target.writableBytes() < bytes.readableBytes()) {
                target.release();
                target = allocator.directBuffer(bytes.readableBytes(), bytes.readableBytes());
            }
            target.writeBytes(bytes);
            bytes.release();
            toGuest.append(target);
        } else {
            toGuest.append(bytes.readerIndex() == 0 ? bytes : bytes.slice());
        }
        schedule(READABLE);
    }

    /** Ends what is sent, when all of it has been delivered. */
    void sendEnd() {
        if (!closed && !outputEnded) {
            outputEnded = true;
            schedule(READABLE);
        }
    }

    /** The guest sees a reset. */
    void abort() {
        if (!closed) {
            release();
            schedule(RESET);
        }
    }

    boolean isClosed() {
        return closed;
    }

    @Override
    public int peek(long position, MemorySegment target, long offset, int length) {
        if (closed) {
            return 0;
        }
        int copied = toGuest.copy(position, target, offset, length);
        return copied == 0 && outputEnded && position >= toGuest.end() ? END : copied;
    }

    @Override
    public void discard(long position) {
        if (closed) {
            return;
        }
        toGuest.discard(position);
        if (full && toGuest.held() <= context.budget().allowance(TO_GUEST_MAX) >> 1) {
            full = false;
            service.roomToGuest();
        }
    }

    // ---- the end

    @Override
    public void reset() {
        end(false);
    }

    @Override
    public void close() {
        end(true);
    }

    private void end(boolean inOrder) {
        silent = true;
        if (!closed) {
            release();
            service.gone(inOrder);
        }
    }

    private void release() {
        closed = true;
        toGuest.clear();
        clearInput();
        context.closed(this);
    }
}
