package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.ethernet.SocketPathException.Reason;
import java.io.IOException;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class UnixSocketPathTest {

    @TempDir
    Path folder;

    @Test
    void aSocketIsItsOwnersOnlyAndLeavesNothingBehind() throws IOException {
        Path path = folder.resolve("vm.sock");
        UnixSocketPath place = UnixSocketPath.prepare(path);
        assertThat(PosixFilePermissions.toString(
                        Files.getPosixFilePermissions(place.bindTo().getParent())))
                .isEqualTo("rwx------");
        try (ServerSocketChannel server = listen(place.bindTo())) {
            place.publish();

            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
                    .isEqualTo("rw-------");
            assertThat(files()).containsExactly("vm.sock");
            try (SocketChannel guest = SocketChannel.open(UnixDomainSocketAddress.of(path))) {
                assertThat(guest.isConnected()).isTrue();
            }
            place.remove();
        }
        assertThat(files()).isEmpty();
    }

    @Test
    void aPathThatIsTooLongIsRefusedAndTheLongestWorks() throws IOException {
        int room = UnixSocketPath.PLATFORM_LIMIT - 1 - folder.toString().length() - 1;
        Path longest = folder.resolve("x".repeat(room));
        Path tooLong = folder.resolve("x".repeat(room + 1));

        assertThatThrownBy(() -> UnixSocketPath.prepare(tooLong))
                .isInstanceOfSatisfying(SocketPathException.class, e -> {
                    assertThat(e.reason()).isEqualTo(Reason.TOO_LONG);
                    assertThat(e.place()).isEqualTo("" + tooLong);
                })
                .hasMessageContaining(tooLong.toString())
                .hasMessageContaining("" + UnixSocketPath.PLATFORM_LIMIT);
        UnixSocketPath place = UnixSocketPath.prepare(longest);
        try (ServerSocketChannel server = listen(place.bindTo())) {
            place.publish();
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(longest)))
                    .isEqualTo("rw-------");
        }
    }

    @Test
    void aPathWithNoRoomForTheDetourIsBoundInPlace() throws IOException {
        Path deep = folder;
        int room = UnixSocketPath.PLATFORM_LIMIT - 1 - folder.toString().length();
        deep = Files.createDirectory(folder.resolve("d".repeat(room - 4)));
        Path path = deep.resolve("s");

        UnixSocketPath place = UnixSocketPath.prepare(path);

        assertThat(place.bindTo()).isEqualTo(path);
        try (ServerSocketChannel server = listen(place.bindTo())) {
            place.publish();
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
                    .isEqualTo("rw-------");
        }
        place.remove();
        assertThat(path).doesNotExist();
    }

    @Test
    void aFolderThatIsNotThereIsNamed() throws IOException {
        refused(folder.resolve("no/vm.sock"), Reason.NO_FOLDER, "no folder " + folder.resolve("no"));
        Path file = Files.createFile(folder.resolve("file"));
        refused(file.resolve("vm.sock"), Reason.NO_FOLDER, "not a folder");
    }

    @Test
    void aFolderThatIsNotWritableIsNamed() throws IOException {
        Path closed = Files.createDirectory(folder.resolve("closed"));
        Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("r-xr-xr-x"));
        if (Files.isWritable(closed)) {
            // The superuser may write everywhere but where the kernel itself says no.
            closed = Path.of("/proc");
            Assumptions.assumeTrue(Files.isDirectory(closed));
        }
        refused(closed.resolve("vm.sock"), Reason.FOLDER_NOT_WRITABLE, closed.toString());
    }

    @Test
    void whatIsNotASocketIsLeftAlone() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "precious");
        refused(file, Reason.NOT_A_SOCKET, "not a socket");
        assertThat(file).hasContent("precious");

        Path directory = Files.createDirectory(folder.resolve("directory"));
        refused(directory, Reason.NOT_A_SOCKET, "not a socket");
        assertThat(directory).isDirectory();

        Path link = Files.createSymbolicLink(folder.resolve("link"), folder.resolve("gone"));
        refused(link, Reason.NOT_A_SOCKET, "not a socket");
        assertThat(Files.isSymbolicLink(link)).isTrue();

        refused(Path.of("/"), Reason.NOT_A_SOCKET, "not the name of a file");
        assertThat(files()).containsExactlyInAnyOrder("file", "directory", "link");
    }

    /** Whoever plants a link has us remove, replace or connect to nothing that it points to. */
    @Test
    void aLinkThatSomebodyPlantedIsNotFollowed() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "precious");
        Path listening = folder.resolve("listening");
        try (ServerSocketChannel server = listen(listening)) {
            Path stale = folder.resolve("stale");
            listen(stale).close();
            for (Path target : List.of(file, listening, stale, folder.resolve("gone"), Path.of("/"))) {
                Path link = Files.createSymbolicLink(folder.resolve("link"), target);
                refused(link, Reason.NOT_A_SOCKET, "not a socket");
                assertThat(Files.readSymbolicLink(link)).isEqualTo(target);
                Files.delete(link);
            }
            assertThat(server.isOpen()).isTrue();
        }
        assertThat(file).hasContent("precious");
        assertThat(files()).containsExactlyInAnyOrder("file", "listening", "stale");
    }

    @Test
    void aFolderWhereEveryUserMayReplaceTheSocketIsToldFromOthers() throws IOException {
        Path open = Files.createDirectory(folder.resolve("open"));
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxrwxrwx"));
        assertThat(UnixSocketPath.isOpenToAll(open)).isTrue();
        assertThat(UnixSocketPath.isOpenToAll(Files.createSymbolicLink(folder.resolve("link"), open)))
                .isTrue();
        // It is the user's to say where: there is a warning, and the socket.
        UnixSocketPath.prepare(open.resolve("vm.sock")).abandon();
        // As /tmp is: everybody may make files, and nobody take away another's.
        Files.setAttribute(open, "unix:mode", 01777);
        assertThat(UnixSocketPath.isOpenToAll(open)).isFalse();
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxrwxr-x"));
        assertThat(UnixSocketPath.isOpenToAll(open)).isFalse();
        assertThat(open).isEmptyDirectory();
    }

    @Test
    void aStaleSocketIsReplaced() throws IOException {
        Path path = folder.resolve("vm.sock");
        listen(path).close();
        assertThat(Files.exists(path, LinkOption.NOFOLLOW_LINKS)).isTrue();

        UnixSocketPath place = UnixSocketPath.prepare(path);
        try (ServerSocketChannel server = listen(place.bindTo())) {
            place.publish();
            try (SocketChannel guest = SocketChannel.open(UnixDomainSocketAddress.of(path))) {
                assertThat(guest.isConnected()).isTrue();
            }
        }
    }

    @Test
    void aSocketOnWhichSomebodyListensIsInUse() throws IOException {
        Path path = folder.resolve("vm.sock");
        try (ServerSocketChannel server = listen(path)) {
            refused(path, Reason.IN_USE, "in use");
            assertThat(server.isOpen()).isTrue();
            assertThat(path).exists();
        }
    }

    @Test
    void aListenerWhoseQueueIsFullIsInUseAndDoesNotMakeTheCheckHang() throws IOException {
        Path path = folder.resolve("vm.sock");
        List<SocketChannel> queued = new ArrayList<>();
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(path), 1);
            boolean full = false;
            while (!full && queued.size() < 64) {
                SocketChannel guest = SocketChannel.open(StandardProtocolFamily.UNIX);
                queued.add(guest);
                guest.configureBlocking(false);
                full = !connectsAtOnce(guest, path);
            }

            refused(path, Reason.IN_USE, "in use");
        } finally {
            for (SocketChannel guest : queued) {
                guest.close();
            }
        }
    }

    @Test
    void whatTookThePlaceInTheMeantimeIsNotReplaced() throws IOException {
        Path path = folder.resolve("vm.sock");
        UnixSocketPath place = UnixSocketPath.prepare(path);
        try (ServerSocketChannel server = listen(place.bindTo())) {
            Files.writeString(path, "other");

            assertThatThrownBy(place::publish)
                    .isInstanceOfSatisfying(
                            SocketPathException.class,
                            e -> assertThat(e.reason()).isEqualTo(Reason.IN_USE));
        }
        assertThat(path).hasContent("other");
        assertThat(files()).containsExactly("vm.sock");
    }

    @Test
    void removeLeavesAnotherSocketOfThatNameAlone() throws IOException {
        Path path = folder.resolve("vm.sock");
        UnixSocketPath place = UnixSocketPath.prepare(path);
        try (ServerSocketChannel server = listen(place.bindTo())) {
            place.publish();
            Files.move(path, folder.resolve("moved.sock"));
            try (ServerSocketChannel other = listen(path)) {
                place.remove();
                assertThat(path).exists();
            }
        }
    }

    private void refused(Path path, Reason reason, String text) {
        assertThatThrownBy(() -> UnixSocketPath.prepare(path))
                .isInstanceOfSatisfying(
                        SocketPathException.class, e -> assertThat(e.reason()).isEqualTo(reason))
                .hasMessageStartingWith(path.toString())
                .hasMessageContaining(text);
    }

    private static boolean connectsAtOnce(SocketChannel guest, Path path) throws IOException {
        try {
            return guest.connect(UnixDomainSocketAddress.of(path));
        } catch (SocketException queueFull) {
            return false;
        }
    }

    private static ServerSocketChannel listen(Path path) throws IOException {
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        return server.bind(UnixDomainSocketAddress.of(path));
    }

    private List<String> files() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(f -> f.getFileName().toString()).toList();
        }
    }
}
