package dev.slipway.ethernet;

import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.concurrent.locks.LockSupport;

/** The guest's end of a stream link: blocking, on a socket of the JDK's. */
final class FakeGuest implements AutoCloseable {

    final SocketChannel socket;

    FakeGuest(Path path) throws IOException {
        socket = SocketChannel.open(UnixDomainSocketAddress.of(path));
    }

    /** Sends frames with their lengths, in one write. */
    void send(byte[]... frames) throws IOException {
        int length = 0;
        for (byte[] frame : frames) {
            length += 4 + frame.length;
        }
        ByteBuffer bytes = ByteBuffer.allocate(length);
        for (byte[] frame : frames) {
            bytes.putInt(frame.length).put(frame);
        }
        sendRaw(bytes.array());
    }

    void sendRaw(byte... bytes) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        while (buffer.hasRemaining()) {
            socket.write(buffer);
        }
    }

    /** Sends each byte by itself, a millisecond after the one before: the other side reads it alone. */
    void sendSlowly(byte... bytes) throws IOException {
        for (byte each : bytes) {
            sendRaw(each);
            LockSupport.parkNanos(1_000_000);
        }
    }

    byte[] receive() throws IOException {
        byte[] frame = new byte[ByteBuffer.wrap(read(4)).getInt()];
        System.arraycopy(read(frame.length), 0, frame, 0, frame.length);
        return frame;
    }

    /** So many bytes as they come. */
    byte[] read(int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(length);
        while (buffer.hasRemaining()) {
            if (socket.read(buffer) < 0) {
                throw new EOFException("after " + buffer.position() + " of " + length + " bytes");
            }
        }
        return buffer.array();
    }

    /** Whether the other side has closed the connection. Waits for it, or for a byte. */
    boolean isAtEnd() throws IOException {
        try {
            return socket.read(ByteBuffer.allocate(1)) < 0;
        } catch (IOException reset) {
            return true;
        }
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
