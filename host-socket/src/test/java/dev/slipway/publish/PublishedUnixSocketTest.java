package dev.slipway.publish;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.ethernet.Transport;
import dev.slipway.event.Events;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Unix sockets of the host that lead to guests: what they may not take the place of. */
@Tag("transport")
@Timeout(30)
class PublishedUnixSocketTest {

    @TempDir
    Path folder;

    private final Transport transport = Transport.best();
    private final MultiThreadIoEventLoopGroup group = new MultiThreadIoEventLoopGroup(1, transport.ioHandlerFactory());
    private final PublishedPorts ports =
            new PublishedPorts(group.next(), transport, List::of, name -> 0, Optional.empty(), true, new Events());

    @AfterEach
    void stop() {
        ports.close();
        group.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    }

    private void publish(Path path) throws PublishException {
        ports.publish(PortRange.parse(path + ":80").requests(), "test");
    }

    private void isRefused(Path path, String why) {
        assertThatThrownBy(() -> publish(path))
                .isInstanceOf(PublishException.class)
                .hasMessageContaining(path.toString())
                .hasMessageContaining(why);
        assertThat(ports.list()).isEmpty();
    }

    @Test
    void socketIsTheOwnersOnlyAndLeavesNothingBehind() throws Exception {
        Path below = Files.createDirectory(folder.resolve("below"));
        Path roundabout = below.resolve("../guest.sock");
        publish(roundabout);
        Path socket = folder.resolve("guest.sock");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
                .isEqualTo("rw-------");
        isHeld(roundabout);
        ports.unpublish(PortRequest.Protocol.UNIX, roundabout.toString());
        assertThat(socket).doesNotExist();
        assertThat(below).isEmptyDirectory();
    }

    private void isHeld(Path path) {
        assertThatThrownBy(() -> publish(path))
                .isInstanceOf(PublishException.class)
                .hasMessageContaining("in use");
        assertThat(ports.list()).hasSize(1);
    }

    @Test
    void whatIsThereAlreadyStaysAsItIs() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "precious");
        isRefused(file, "not a socket");
        Path link = Files.createSymbolicLink(folder.resolve("link"), file);
        isRefused(link, "not a socket");
        isRefused(folder.resolve("none/guest.sock"), "no folder");
        assertThat(file).hasContent("precious");
        assertThat(Files.readSymbolicLink(link)).isEqualTo(file);
    }
}
