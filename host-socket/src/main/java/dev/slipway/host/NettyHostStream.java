package dev.slipway.host;

import dev.slipway.queue.ByteQueue;
import dev.slipway.queue.ReadLimit;
import dev.slipway.seam.HostStream;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelException;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.channel.socket.DuplexChannel;
import io.netty.channel.socket.SocketChannel;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetSocketAddress;

/**
 * A TCP connection of the host over a Netty channel, on any transport.
 *
 * <p>Host to guest: the channel is read only while the {@link ByteQueue} has room, and again when half of it has been
 * discarded. Guest to host: bytes are copied into chunks, and the chunks of a turn go to Netty in one flush. While
 * Netty still holds some that the kernel did not take, later ones wait here and fill whole chunks, so that a host that
 * does not read costs no more memory than bytes that were promised to the guest.
 *
 * <p>Every event is delivered by a task of its own ({@link #run}), at the end of the loop turn in which it happened:
 * never from within a method of the seam, nor from within Netty's reading or writing.
 */
final class NettyHostStream extends ChannelInboundHandlerAdapter implements HostStream, ReadLimit.Reader, Runnable {

    /** What the queue to the guest holds at most while memory is plenty, in bytes; acknowledgements free it. */
    static final int TO_GUEST_MAX = 1 << 20;

    /** What is promised to the guest beyond what the kernel has, while memory is plenty. */
    static final int FROM_GUEST_MAX = 512 << 10;

    /** What is promised before the guest has shown that it sends anything. */
    static final int FROM_GUEST_INITIAL = 64 << 10;

    /** The kernel's own limit is about 130 s; what fails sooner, fails by the kernel. */
    static final int CONNECT_TIMEOUT_MILLIS = 130_000;

    private static final int CONNECTED = 1;
    private static final int READABLE = 2;
    private static final int WRITABLE = 4;
    private static final int FAILED = 8;
    private static final int RESET = 16;
    private static final int SHUT_OUTPUT = 32;

    private enum State {
        CONNECTING,
        OPEN,
        CLOSED
    }

    private final NettyHostSockets owner;
    private final Listener listener;
    private final ByteQueue toGuest;
    private DuplexChannel channel;
    private State state = State.CONNECTING;

    private int pendingEvents;
    private boolean eventsScheduled;
    private boolean silent;
    private boolean inSeam;
    private ConnectFailure failure;

    private boolean readAsked;
    private boolean ended;

    private long written;
    private long takenBytes;
    private long promised;
    private Chunk firstChunk;
    private Chunk firstWaiting;
    private Chunk lastChunk;
    private int chunksInNetty;
    private int chunkBytes;
    private boolean shutdownWanted;
    private boolean outputShutdown;

    NettyHostStream(NettyHostSockets owner, Listener listener) {
        this.owner = owner;
        this.listener = listener;
        this.toGuest = new ByteQueue(owner.budget());
        this.promised = owner.budget().allowance(FROM_GUEST_INITIAL);
    }

    /** A stream that was refused before it had a channel: the listener hears why. */
    void fail(ConnectFailure reason) {
        state = State.CLOSED;
        failure = reason;
        schedule(FAILED);
    }

    /** Begins to connect a new channel, which belongs to this from here on. */
    void connect(SocketChannel newChannel, InetSocketAddress address) {
        channel = newChannel;
        inSeam = true;
        try {
            newChannel
                    .config()
                    .setAutoRead(false)
                    .setAllowHalfClosure(true)
                    .setTcpNoDelay(true)
                    .setConnectTimeoutMillis(CONNECT_TIMEOUT_MILLIS)
                    .setRecvByteBufAllocator(new ReadLimit(this));
            channel.pipeline().addLast(this);
            ChannelFuture registered = owner.loop().register(channel);
            if (registered.cause() != null) {
                connectEnded(registered);
            } else {
                channel.connect(address).addListener(done -> connectEnded((ChannelFuture) done));
            }
        } catch (ChannelException e) {
            connectFailed(Failures.ofConnect(e));
        } finally {
            inSeam = false;
        }
    }

    /**
     * Takes a connection that the host has accepted and that no event loop has yet; it belongs to this from here on. If
     * it cannot be had, the listener hears of a reset.
     */
    void accept(DuplexChannel accepted) {
        channel = accepted;
        state = State.OPEN;
        inSeam = true;
        try {
            channel.config().setAutoRead(false);
            channel.config().setOption(ChannelOption.ALLOW_HALF_CLOSURE, true);
            channel.config().setRecvByteBufAllocator(new ReadLimit(this));
            if (channel instanceof SocketChannel tcp) {
                tcp.config().setTcpNoDelay(true);
            }
            channel.pipeline().addLast(this);
            if (owner.loop().register(channel).cause() != null) {
                abort();
            } else {
                askToRead();
            }
        } catch (ChannelException e) {
            // It was reset before it was taken.
            abort();
        } finally {
            inSeam = false;
        }
    }

    private void connectEnded(ChannelFuture future) {
        if (state != State.CONNECTING) {
            return;
        }
        if (!future.isSuccess()) {
            connectFailed(Failures.ofConnect(future.cause()));
            return;
        }
        state = State.OPEN;
        // Until the guest has ended its stream, an end of this process must not look like one.
        linger(0);
        askToRead();
        handOver();
        schedule(CONNECTED);
    }

    private void connectFailed(ConnectFailure reason) {
        failure = reason;
        owner.connectFailed(failure);
        release(false);
        schedule(FAILED);
    }

    // ---- events

    private void schedule(int event) {
        pendingEvents |= event;
        if (!eventsScheduled && !silent) {
            // In this order, as it may fail for want of memory.
            owner.loop().execute(this);
            eventsScheduled = true;
        }
    }

    /** Delivers what happened in this turn. */
    @Override
    public void run() {
        eventsScheduled = false;
        int events = pendingEvents;
        pendingEvents = 0;
        if ((events & SHUT_OUTPUT) != 0 && state == State.OPEN && firstChunk == null) {
            shutOutput();
            events |= pendingEvents | WRITABLE;
            pendingEvents = 0;
        }
        owner.deliver(this, events);
    }

    /** Called by the owner, which knows what to do with an exception of the listener. */
    void tell(int events) {
        if ((events & CONNECTED) != 0 && !silent) {
            listener.connected();
        }
        if ((events & READABLE) != 0 && !silent && state == State.OPEN) {
            listener.readable();
        }
        if ((events & WRITABLE) != 0 && !silent && state == State.OPEN) {
            listener.writable();
        }
        if ((events & FAILED) != 0 && !silent) {
            listener.failed(failure);
        }
        if ((events & RESET) != 0 && !silent) {
            listener.reset();
        }
    }

    /** Gives the connection up, by our decision or the host's: its peer sees a reset, and the listener hears of it. */
    void abort() {
        if (state == State.CONNECTING) {
            connectFailed(ConnectFailure.EXHAUSTED);
        } else if (state == State.OPEN) {
            release(true);
            schedule(RESET);
        }
    }

    // ---- guest to host

    @Override
    public int room() {
        if (state == State.CLOSED) {
            return 0;
        }
        if (takenBytes > 0) {
            promised = Math.max(promised, taken() + owner.budget().allowance(FROM_GUEST_MAX));
        }
        return (int) Math.max(0, promised - written);
    }

    @Override
    public void write(MemorySegment source, long offset, int length) {
        int copied = 0;
        while (copied < length && state != State.CLOSED) {
            if (lastChunk == null || firstWaiting == null || lastChunk.isFull()) {
                addChunk(length - copied);
                continue;
            }
            copied += lastChunk.append(source, offset + copied, length - copied);
        }
        written += copied;
    }

    private void addChunk(int wanted) {
        chunkBytes = Math.min(Math.max(Math.max(wanted, chunkBytes * 2), Chunk.MIN), Chunk.MAX);
        Chunk chunk;
        try {
            chunk = new Chunk(this, channel.alloc().directBuffer(chunkBytes, chunkBytes));
        } catch (OutOfMemoryError e) {
            // Nothing was acknowledged yet, but what was promised cannot be kept: the guest sees a reset, not a gap.
            owner.counters().outOfMemory++;
            abort();
            return;
        }
        if (lastChunk == null) {
            firstChunk = chunk;
        } else {
            lastChunk.next = chunk;
        }
        lastChunk = chunk;
        if (firstWaiting == null) {
            firstWaiting = chunk;
        }
        owner.budget().fromGuest(chunk.capacity());
        owner.shedIfNeeded();
    }

    @Override
    public void flush() {
        inSeam = true;
        try {
            handOver();
        } finally {
            inSeam = false;
        }
    }

    /** Gives waiting chunks to Netty, if it has none left. */
    private void handOver() {
        if (state != State.OPEN || chunksInNetty > 0) {
            return;
        }
        chunkBytes = 0;
        Chunk chunk = firstWaiting;
        firstWaiting = null;
        if (chunk != null) {
            for (; chunk != null; chunk = chunk.next) {
                chunksInNetty++;
                channel.write(chunk.seal()).addListener(chunk);
            }
            channel.flush();
        }
        if (shutdownWanted && firstChunk == null && state == State.OPEN) {
            shutOutput();
        }
    }

    /** Netty has done with a chunk. */
    void written(Chunk chunk, ChannelFuture future) {
        owner.budget().fromGuest(-chunk.capacity());
        chunksInNetty--;
        firstChunk = chunk.next;
        if (firstChunk == null) {
            lastChunk = null;
        }
        if (!future.isSuccess()) {
            if (state == State.OPEN) {
                owner.counters().resetsByHost++;
                abort();
            }
            return;
        }
        if (state != State.OPEN) {
            return;
        }
        takenBytes += chunk.length();
        if (inSeam) {
            return;
        }
        handOverLater();
        schedule(WRITABLE);
    }

    private void handOverLater() {
        if (chunksInNetty > 0) {
            return;
        }
        if (firstWaiting != null) {
            handOver();
        } else if (shutdownWanted) {
            // Not now: Netty is in the middle of writing.
            schedule(SHUT_OUTPUT);
        }
    }

    @Override
    public long taken() {
        return chunksInNetty > 0 && state == State.OPEN ? takenBytes + firstChunk.partlyTaken() : takenBytes;
    }

    @Override
    public void shutdownOutput() {
        shutdownWanted = true;
        flush();
    }

    private void shutOutput() {
        if (outputShutdown) {
            return;
        }
        linger(-1);
        ChannelFuture done = channel.shutdownOutput();
        if (done.isSuccess()) {
            outputShutdown = true;
        } else if (state == State.OPEN) {
            owner.counters().resetsByHost++;
            abort();
        }
    }

    @Override
    public boolean isOutputShutdown() {
        return outputShutdown;
    }

    // ---- host to guest

    @Override
    public int peek(long position, MemorySegment target, long offset, int length) {
        if (state == State.CLOSED) {
            return 0;
        }
        int copied = toGuest.copy(position, target, offset, length);
        return copied == 0 && ended && position >= toGuest.end() ? END : copied;
    }

    @Override
    public void discard(long position) {
        if (state == State.CLOSED) {
            return;
        }
        toGuest.discard(position);
        if (toGuest.held() <= owner.budget().allowance(TO_GUEST_MAX) >> 1) {
            askToRead();
        }
    }

    private void askToRead() {
        if (!readAsked && !ended && state == State.OPEN) {
            readAsked = true;
            channel.read();
        }
    }

    /** Whether the queue has room for another read. */
    @Override
    public boolean mayRead() {
        return state == State.OPEN && toGuest.held() < owner.budget().allowance(TO_GUEST_MAX);
    }

    @Override
    public void readBegins() {
        readAsked = false;
    }

    @Override
    public ByteBuf readTarget(ByteBufAllocator allocator, int size) {
        int room = owner.budget().allowance(TO_GUEST_MAX) - toGuest.held();
        if (state != State.OPEN || room <= 0) {
            throw ReadLimit.QueueFull.INSTANCE;
        }
        return toGuest.target(allocator, Math.min(size, Math.max(room, ReadLimit.MIN)));
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        ByteBuf buffer = (ByteBuf) message;
        if (state != State.OPEN) {
            buffer.release();
            return;
        }
        toGuest.append(buffer);
        schedule(READABLE);
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
        if (mayRead()) {
            askToRead();
        }
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
        if (event instanceof ChannelInputShutdownEvent && !ended && state == State.OPEN) {
            ended = true;
            schedule(READABLE);
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        if (cause == ReadLimit.QueueFull.INSTANCE) {
            return;
        }
        if (state != State.OPEN) {
            return;
        }
        if (cause instanceof IOException) {
            owner.counters().resetsByHost++;
        } else {
            owner.failed(cause);
        }
        abort();
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        if (state == State.OPEN) {
            owner.counters().resetsByHost++;
            abort();
        }
    }

    // ---- the end

    /** Bytes of memory that the guest's bytes take. */
    int heldFromGuest() {
        int held = 0;
        for (Chunk chunk = firstChunk; chunk != null; chunk = chunk.next) {
            held += chunk.capacity();
        }
        return held;
    }

    /** Whether the host's kernel has not taken what it was given. */
    boolean isStalled() {
        return chunksInNetty > 0;
    }

    @Override
    public void reset() {
        silent = true;
        release(true);
    }

    @Override
    public void close() {
        silent = true;
        // A close while bytes of the guest are not in the kernel would end the stream as if that were all.
        release(firstChunk != null);
    }

    private void release(boolean withReset) {
        if (state == State.CLOSED) {
            return;
        }
        boolean wasConnected = state == State.OPEN;
        takenBytes = taken();
        state = State.CLOSED;
        toGuest.clear();
        for (Chunk chunk = firstWaiting; chunk != null; chunk = chunk.next) {
            owner.budget().fromGuest(-chunk.capacity());
            chunk.release();
        }
        if (firstWaiting == firstChunk) {
            firstChunk = null;
        }
        firstWaiting = null;
        if (wasConnected) {
            linger(withReset ? 0 : -1);
        }
        channel.close();
        owner.closed(this);
    }

    /** What a close means from now on: 0 a reset, -1 an end in order. */
    private void linger(int seconds) {
        try {
            channel.config().setOption(ChannelOption.SO_LINGER, seconds);
        } catch (ChannelException e) {
            // The connection is gone already, so its peer needs no reset.
        }
    }
}
