package dev.slipway.probe;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;

/**
 * A frame link over a Unix stream socket in QEMU's framing: each frame behind its length, 32 bits in network order
 * ({@code -netdev stream}, the framing of {@code net/stream.c}). Frames are built and read in place in two buffers; a
 * turn costs one read and one write however many frames it carries.
 */
final class QemuSocket implements FrameLink {

    private static final int LENGTH_FIELD = 4;
    /** The largest IP packet and an Ethernet header with a VLAN tag. */
    private static final int MAX_FRAME = 65_535 + 18;

    private static final int BUFFER = 1 << 19;
    private static final int RESERVE = 1 << 15;

    private final SocketChannel channel;
    private final Selector selector;
    private final SelectionKey key;
    private final ByteBuffer fromBackend = ByteBuffer.allocateDirect(BUFFER);
    private final MemorySegment fromBackendBytes = MemorySegment.ofBuffer(fromBackend);
    private final ByteBuffer toBackend = ByteBuffer.allocateDirect(BUFFER);
    private final MemorySegment toBackendBytes = MemorySegment.ofBuffer(toBackend);
    /** First byte not yet parsed. */
    private int parsed;
    /** First byte not yet written, and the end of what is queued. */
    private int written;

    private int queued;

    private QemuSocket(SocketChannel channel) throws IOException {
        this.channel = channel;
        channel.configureBlocking(false);
        selector = Selector.open();
        key = channel.register(selector, SelectionKey.OP_READ);
    }

    /**
     * Connects to a backend that listens.
     *
     * @throws IOException if nothing listens there or the path cannot be one of a socket
     */
    static QemuSocket connect(Path path) throws IOException {
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            channel.connect(UnixDomainSocketAddress.of(path));
            return new QemuSocket(channel);
        } catch (IOException e) {
            channel.close();
            throw new IOException("cannot connect to " + path + ": " + e.getMessage(), e);
        }
    }

    @Override
    public MemorySegment memory() {
        return toBackendBytes;
    }

    @Override
    public int room() {
        return BUFFER - queued - RESERVE;
    }

    @Override
    public long begin(int length) {
        return queued + LENGTH_FIELD + length <= BUFFER ? queued + LENGTH_FIELD : -1;
    }

    @Override
    public void send(int length) {
        toBackend.putInt(queued, length);
        queued += LENGTH_FIELD + length;
    }

    @Override
    public void flush() throws IOException {
        if (written < queued) {
            toBackend.limit(queued).position(written);
            try {
                channel.write(toBackend);
            } catch (IOException e) {
                throw new IOException("the backend closed the connection: " + e.getMessage(), e);
            }
            written = toBackend.position();
            toBackend.clear();
        }
        if (written == queued) {
            written = 0;
            queued = 0;
        } else if (written > BUFFER / 2) {
            MemorySegment.copy(toBackendBytes, written, toBackendBytes, 0, queued - written);
            queued -= written;
            written = 0;
        }
    }

    @Override
    public boolean receive(Receiver receiver, long waitNanos) throws IOException {
        int read = read();
        if (read == 0 && waitNanos > 0) {
            key.interestOps(queued > written ? SelectionKey.OP_READ | SelectionKey.OP_WRITE : SelectionKey.OP_READ);
            selector.select(Math.max(1, waitNanos / 1_000_000));
            selector.selectedKeys().clear();
            if (Thread.interrupted()) {
                throw new IOException("interrupted");
            }
            read = read();
        }
        return read > 0 && deliver(receiver);
    }

    private int read() throws IOException {
        int read = channel.read(fromBackend);
        if (read < 0) {
            throw new EOFException("the backend closed the connection"
                    + (fromBackend.position() > parsed ? " in the middle of a frame" : ""));
        }
        return read;
    }

    private boolean deliver(Receiver receiver) throws IOException {
        int end = fromBackend.position();
        boolean any = false;
        while (end - parsed >= LENGTH_FIELD) {
            int length = fromBackend.getInt(parsed);
            if (length < 0 || length > MAX_FRAME) {
                throw new IOException(
                        "the backend announced a frame of " + Integer.toUnsignedString(length) + " bytes");
            }
            if (end - parsed - LENGTH_FIELD < length) {
                break;
            }
            receiver.frame(fromBackendBytes, parsed + LENGTH_FIELD, length);
            any = true;
            parsed += LENGTH_FIELD + length;
        }
        // The start of a frame moves to the front, so that there is always room for the rest of it.
        MemorySegment.copy(fromBackendBytes, parsed, fromBackendBytes, 0, end - parsed);
        fromBackend.position(end - parsed);
        parsed = 0;
        return any;
    }

    @Override
    public long now() {
        return System.nanoTime();
    }

    @Override
    public void close() throws IOException {
        selector.close();
        channel.close();
    }
}
