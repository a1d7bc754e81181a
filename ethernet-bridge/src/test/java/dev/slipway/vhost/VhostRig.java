package dev.slipway.vhost;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.ethernet.RecordingReceiver;
import dev.slipway.ethernet.Transport;
import dev.slipway.posix.Sockets;
import dev.slipway.wire.Frame;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A link on an event loop, for front-ends to connect to; in the end nothing of it is left. */
final class VhostRig implements AutoCloseable {

    static final int MTU = 1500;

    final RecordingReceiver receiver = new RecordingReceiver();
    final EventLoop loop;
    final VhostLink link;
    final Path path;
    private final MultiThreadIoEventLoopGroup group;
    private final long before;

    VhostRig(Path folder) throws IOException {
        Sockets.prepare();
        path = folder.resolve("vm.sock");
        before = descriptorsAndMappings();
        group = new MultiThreadIoEventLoopGroup(1, Transport.NATIVE.ioHandlerFactory());
        loop = group.next();
        link = new VhostLink(loop, MTU);
        link.listen(path, receiver);
    }

    /** Descriptors of sockets, events and memory, and mappings of memory. */
    private static long descriptorsAndMappings() throws IOException {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"));
                Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
            return open.filter(VhostRig::isOurs).count()
                    + maps.filter(line -> line.contains("memfd:guest")).count();
        }
    }

    private static boolean isOurs(Path fd) {
        try {
            return Files.readSymbolicLink(fd).toString().matches("(socket|anon_inode|pipe|/memfd).*");
        } catch (IOException gone) {
            return false;
        }
    }

    /** Waits until everything that was asked of the loop was done. */
    void settle() throws Exception {
        for (int i = 0; i < 3; i++) {
            loop.submit(() -> {}).get(20, TimeUnit.SECONDS);
        }
    }

    void send(byte[] bytes) throws Exception {
        loop.submit(() -> {
                    sendNow(bytes);
                    link.flush();
                })
                .get(20, TimeUnit.SECONDS);
    }

    void sendNow(byte[] bytes) {
        Frame frame = link.begin(bytes.length);
        MemorySegment.copy(bytes, 0, frame.bytes(), ValueLayout.JAVA_BYTE, frame.offset(), bytes.length);
        link.send(frame);
    }

    int room() throws Exception {
        return loop.submit(() -> {
                    int room = link.room();
                    link.flush();
                    return room;
                })
                .get(20, TimeUnit.SECONDS);
    }

    @Override
    public void close() throws Exception {
        link.close();
        group.shutdownGracefully(0, 5, TimeUnit.SECONDS).sync();
        assertThat(path).doesNotExist();
        assertThat(descriptorsAndMappings()).as("descriptors and mappings left").isEqualTo(before);
    }
}
