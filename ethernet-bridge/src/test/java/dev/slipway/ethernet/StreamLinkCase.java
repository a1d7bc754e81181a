package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.wire.Frame;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.Parameter;

/** A link of QEMU's framing that listens on a Unix socket, on each transport, and whose buffers all come back. */
abstract class StreamLinkCase {

    static final int MTU = 1500;

    @Parameter
    Transport transport;

    @TempDir
    Path folder;

    final RecordingReceiver receiver = new RecordingReceiver();
    MultiThreadIoEventLoopGroup group;
    EventLoop loop;
    StreamLink link;
    Path path;

    /** The one that the build asks for, or all that there are. */
    static Stream<Transport> transports() {
        return System.getProperty(Transport.PROPERTY, "").isEmpty()
                ? Stream.of(Transport.values()).filter(Transport::isAvailable)
                : Stream.of(Transport.best());
    }

    @BeforeEach
    void listen() throws SocketPathException {
        group = new MultiThreadIoEventLoopGroup(1, transport.ioHandlerFactory());
        loop = group.next();
        path = folder.resolve("vm.sock");
        link = new StreamLink(loop, transport, StreamFraming.QEMU, MTU);
        link.listen(path, receiver);
    }

    @AfterEach
    void everyBufferComesBack() throws Exception {
        onLoop(() -> {
            link.close();
            return null;
        });
        // What the close of a channel does later on the loop is done by then.
        assertThat(onLoop(() -> link.isReleased())).isTrue();
        group.shutdownGracefully(0, 5, TimeUnit.SECONDS).sync();
        assertThat(path).doesNotExist();
    }

    FakeGuest attach() throws IOException, InterruptedException {
        FakeGuest guest = new FakeGuest(path);
        assertThat(receiver.nextEvent()).isEqualTo("attached");
        return guest;
    }

    void send(byte[] frame) throws Exception {
        onLoop(() -> {
            Frame built = link.begin(frame.length);
            MemorySegment.copy(frame, 0, built.bytes(), ValueLayout.JAVA_BYTE, built.offset(), frame.length);
            link.send(built);
            link.flush();
            return null;
        });
    }

    /** Sends a copy of a frame with all that it says of itself; on the loop. */
    void send(Frame frame) {
        Frame built = link.begin(frame.length());
        MemorySegment.copy(frame.bytes(), frame.offset(), built.bytes(), built.offset(), frame.length());
        built.checksumPartial(frame.checksumStart(), frame.checksumOffset()).largeUnit(frame.segmentSize());
        link.send(built);
    }

    <T> T onLoop(Callable<T> task) throws Exception {
        return loop.inEventLoop() ? task.call() : loop.submit(task).get(30, TimeUnit.SECONDS);
    }

    static byte[] random(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }
}
