package dev.slipway.ethernet;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries bytes between this process' standard input and output and a stream link. These may be pipes, which no event
 * loop's channels can be, so a thread for each direction copies them to a socket; the end of either ends both.
 */
public final class StdioPump {

    private static final Logger LOG = LoggerFactory.getLogger(StdioPump.class);
    private static final int BUFFER = 256 << 10;
    private static final long PAUSE_NANOS = 1_000_000;

    private final SocketChannel socket;

    private StdioPump(SocketChannel socket) {
        this.socket = socket;
    }

    /**
     * Connects to a link and begins.
     *
     * @param path where the link listens
     */
    public static void start(Path path) throws IOException {
        SocketChannel socket = SocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            socket.connect(UnixDomainSocketAddress.of(path));
        } catch (IOException e) {
            socket.close();
            throw e;
        }
        StdioPump pump = new StdioPump(socket);
        Thread.ofPlatform().daemon().name("stdin").start(pump::fromGuest);
        Thread.ofPlatform().daemon().name("stdout").start(pump::toGuest);
    }

    private void fromGuest() {
        ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER);
        // Not closed here: the descriptor is the process' own to the end.
        FileChannel input = new FileInputStream(FileDescriptor.in).getChannel();
        try {
            for (int read = input.read(buffer); read >= 0; read = input.read(buffer)) {
                pauseIf(read == 0);
                buffer.flip();
                while (buffer.hasRemaining()) {
                    socket.write(buffer);
                }
                buffer.clear();
            }
        } catch (IOException e) {
            LOG.debug("standard input: {}", e.toString());
        }
        end();
    }

    private void toGuest() {
        ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER);
        FileChannel output = new FileOutputStream(FileDescriptor.out).getChannel();
        try {
            while (socket.read(buffer) >= 0) {
                buffer.flip();
                while (buffer.hasRemaining()) {
                    pauseIf(output.write(buffer) == 0);
                }
                buffer.clear();
            }
        } catch (IOException e) {
            LOG.debug("standard output: {}", e.toString());
        }
        end();
    }

    /** Whoever gave us a descriptor that does not block gets as much patience as that takes. */
    private static void pauseIf(boolean nothing) {
        if (nothing) {
            LockSupport.parkNanos(PAUSE_NANOS);
        }
    }

    private void end() {
        try {
            socket.close();
        } catch (IOException e) {
            LOG.debug("standard input and output: {}", e.toString());
        }
    }
}
