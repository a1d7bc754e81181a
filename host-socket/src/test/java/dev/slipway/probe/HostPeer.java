package dev.slipway.probe;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;

/**
 * The host's end of one connection under judgement: it sends a pattern, compares what comes with another, and notes how
 * the guest's stream ended.
 */
final class HostPeer implements AutoCloseable {

    /** How the guest's stream ended. */
    enum End {
        NONE,
        CLEAN,
        RESET
    }

    private static final long WRITER_MILLIS = 10_000;

    private final ServerSocket server;
    private final Pattern expected;
    private final Pattern sent;
    private final long sends;
    private final Thread reading;
    private final Thread writing;
    private volatile Socket socket;
    private volatile long received;
    private volatile long difference = -1;
    private volatile boolean writeFailed;
    private volatile End end = End.NONE;

    /**
     * Listens on a free port of the localhost for one connection.
     *
     * @param sends bytes that it sends before it ends its stream; {@code Long.MAX_VALUE} for no end
     */
    HostPeer(Pattern expected, Pattern sent, long sends) throws IOException {
        this.expected = expected;
        this.sent = sent;
        this.sends = sends;
        server = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
        writing = Thread.ofPlatform().daemon().name("peer writes").unstarted(this::write);
        reading = Thread.ofPlatform().daemon().name("peer reads").start(this::read);
    }

    int port() {
        return server.getLocalPort();
    }

    private void read() {
        byte[] buffer = new byte[1 << 16];
        try {
            socket = server.accept();
            writing.start();
            InputStream in = socket.getInputStream();
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                if (difference < 0) {
                    difference = expected.firstDifference(received, MemorySegment.ofArray(buffer), 0, read);
                }
                received += read;
            }
            // Linux tells of a reset only once: if the writer has heard of it, the reader is told of an end.
            writing.join(WRITER_MILLIS);
            end = writeFailed ? End.RESET : End.CLEAN;
        } catch (IOException e) {
            end = End.RESET;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void write() {
        byte[] buffer = new byte[1 << 15];
        try {
            OutputStream out = socket.getOutputStream();
            long position = 0;
            while (position < sends) {
                int piece = (int) Math.min(Math.min(buffer.length, sends - position), sent.run(position));
                MemorySegment.copy(sent.bytes(), ValueLayout.JAVA_BYTE, sent.offset(position), buffer, 0, piece);
                out.write(buffer, 0, piece);
                position += piece;
            }
            socket.shutdownOutput();
        } catch (IOException e) {
            writeFailed = true;
        }
    }

    /** Resets the connection. */
    void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
    }

    /** Bytes that came, all compared. */
    long received() {
        return received;
    }

    /** The position of the first byte that was not what was sent, or -1. */
    long difference() {
        return difference;
    }

    End end() {
        return end;
    }

    boolean hasEnded() {
        return end != End.NONE;
    }

    @Override
    public void close() throws IOException {
        server.close();
        if (socket != null) {
            socket.close();
        }
    }
}
