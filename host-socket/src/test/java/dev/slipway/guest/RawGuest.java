package dev.slipway.guest;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Predicate;

/** The guest's end of a frame socket in QEMU's framing with nobody behind it: a test says what goes, bytes or frames. */
public final class RawGuest implements AutoCloseable {

    private static final int PREFIX = 4;
    private static final int BUFFER = 1 << 18;
    private static final int TYPE = 12;
    private static final int IP_PROTOCOL = 23;

    private final SocketChannel channel;
    private final ByteBuffer received = ByteBuffer.allocate(BUFFER).limit(0);

    private RawGuest(SocketChannel channel) {
        this.channel = channel;
    }

    /** Connects. Whether it is attached one learns from an answer. */
    public static RawGuest attach(Path socket) throws IOException {
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            channel.connect(UnixDomainSocketAddress.of(socket));
            return new RawGuest(channel);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    /** Sends a frame behind its length. */
    public void send(MemorySegment frame) throws IOException {
        write(framed(frame.toArray(ValueLayout.JAVA_BYTE)));
    }

    /** A frame behind its length. */
    static byte[] framed(byte[] frame) {
        return ByteBuffer.allocate(PREFIX + frame.length)
                .putInt(frame.length)
                .put(frame)
                .array();
    }

    /** Sends bytes as they are, all of them. */
    void write(byte... bytes) throws IOException {
        write(ByteBuffer.wrap(bytes));
    }

    void write(ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    /** Waits for the next frame; null if the connection has ended. */
    public byte[] receive() throws IOException {
        while (received.remaining() < PREFIX || received.remaining() < PREFIX + received.getInt(received.position())) {
            received.compact();
            int read;
            try {
                read = channel.read(received);
            } catch (IOException e) {
                // Unread bytes of ours, when the other side closed: a reset rather than an end.
                read = -1;
            }
            received.flip();
            if (read < 0) {
                return null;
            }
        }
        byte[] frame = new byte[received.getInt()];
        received.get(frame);
        return frame;
    }

    /** Waits for a frame of a kind and passes over all others. */
    public byte[] receive(Predicate<byte[]> wanted) throws IOException {
        byte[] frame = receive();
        while (frame != null && !wanted.test(frame)) {
            frame = receive();
        }
        if (frame == null) {
            throw new IOException("the backend ended the connection");
        }
        return frame;
    }

    public static boolean isArp(byte[] frame) {
        return type(frame) == 0x0806;
    }

    public static boolean isTcp(byte[] frame) {
        return type(frame) == 0x0800 && frame[IP_PROTOCOL] == 6;
    }

    static boolean isIcmp(byte[] frame) {
        return type(frame) == 0x0800 && frame[IP_PROTOCOL] == 1;
    }

    private static int type(byte[] frame) {
        return Short.toUnsignedInt(
                ByteBuffer.wrap(Arrays.copyOf(frame, TYPE + 2)).getShort(TYPE));
    }

    /** Says that nothing more comes; what the backend sends can still be read. */
    void shutdownOutput() throws IOException {
        channel.shutdownOutput();
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
