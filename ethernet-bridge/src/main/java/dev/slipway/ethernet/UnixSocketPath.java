package dev.slipway.ethernet;

import dev.slipway.ethernet.SocketPathException.Reason;
import java.io.IOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The place of a listening Unix socket in the file system: checked before, private from the first moment, removed
 * afterwards.
 *
 * <p>A process has one umask, which cannot be changed for one thread, so a socket cannot be born with mode 0600. It is
 * therefore bound inside a new folder of mode 0700 beside the path, set to 0600 there, and only then moved to its
 * path: nobody else can connect at any moment. Where that detour would make the name too long for the platform it is
 * bound in place and set to 0600 at once; between the two the umask decides, and the usual 022 lets nobody else
 * connect, which takes the right to write.
 *
 * <p>{@code prepare}, bind to {@link #bindTo}, {@link #publish}, and {@link #remove} in the end.
 */
public final class UnixSocketPath {

    private static final Logger LOG = LoggerFactory.getLogger(UnixSocketPath.class);

    /** Bytes of a path that {@code sockaddr_un} takes, its final NUL included: 108 on Linux, 104 elsewhere. */
    static final int PLATFORM_LIMIT =
            System.getProperty("os.name", "").toLowerCase(Locale.ROOT).contains("linux") ? 108 : 104;

    private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rw-------");
    private static final Set<PosixFilePermission> OWNER_FOLDER = PosixFilePermissions.fromString("rwx------");
    private static final int TYPE_MASK = 0170000;
    private static final int TYPE_SOCKET = 0140000;
    private static final int OTHERS_WRITE = 0002;
    private static final int STICKY = 01000;
    private static final int ATTEMPTS = 16;

    private final Path path;
    private final Path bindTo;
    private Object fileKey;

    private UnixSocketPath(Path path, Path bindTo) {
        this.path = path;
        this.bindTo = bindTo;
    }

    /**
     * Checks that a socket can be made at a path, and makes room for it: a socket on which nobody listens is removed.
     * Whether somebody does is found out by a connect that does not wait.
     *
     * @throws SocketPathException if the path is too long, its folder is missing or not writable, or it is taken by a
     *     socket in use or by something that is not a socket
     */
    public static UnixSocketPath prepare(Path path) throws SocketPathException {
        check(path);
        return new UnixSocketPath(path, privatePlace(path));
    }

    /**
     * The same for a socket that is bound where it will be, because others learn its name from it, and that is private
     * from the first moment by other means.
     */
    public static UnixSocketPath prepareInPlace(Path path) throws SocketPathException {
        check(path);
        return new UnixSocketPath(path, path);
    }

    private static void check(Path path) throws SocketPathException {
        int length = bytes(path);
        if (length >= PLATFORM_LIMIT) {
            throw new SocketPathException(
                    path,
                    Reason.TOO_LONG,
                    "a path of " + length + " bytes is too long for a Unix socket, the limit here is "
                            + (PLATFORM_LIMIT - 1));
        }
        if (path.getFileName() == null || path.getFileName().toString().isEmpty()) {
            throw new SocketPathException(path, Reason.NOT_A_SOCKET, "is not the name of a file");
        }
        Path absolute = path.toAbsolutePath();
        Path folder = absolute.getParent();
        if (!Files.isDirectory(folder)) {
            throw new SocketPathException(
                    path,
                    Reason.NO_FOLDER,
                    Files.exists(folder) ? folder + " is not a folder" : "there is no folder " + folder);
        }
        warnOfOthers(folder);
        clear(path);
        if (!Files.isWritable(folder)) {
            throw new SocketPathException(
                    path, Reason.FOLDER_NOT_WRITABLE, "the folder " + folder + " is not writable");
        }
    }

    /** Where everybody may write and nothing is sticky, everybody may put a socket of his own in the place of ours. */
    private static void warnOfOthers(Path folder) throws SocketPathException {
        if (isOpenToAll(folder)) {
            LOG.warn("every user may replace the sockets in {}: chmod o-w it, or choose another folder", folder);
        }
    }

    /** Whether every user may take away what others put into a folder. */
    static boolean isOpenToAll(Path folder) throws SocketPathException {
        try {
            int mode = (Integer) Files.getAttribute(folder, "unix:mode");
            return (mode & (OTHERS_WRITE | STICKY)) == OTHERS_WRITE;
        } catch (IOException e) {
            throw new SocketPathException(
                    folder, Reason.REFUSED, "nobody can tell who may write to it: " + explain(e), e);
        }
    }

    private static int bytes(Path path) {
        return path.toString().getBytes(StandardCharsets.UTF_8).length;
    }

    /** Removes a stale socket. */
    private static void clear(Path path) throws SocketPathException {
        try {
            int mode = (Integer) Files.getAttribute(path, "unix:mode", LinkOption.NOFOLLOW_LINKS);
            if ((mode & TYPE_MASK) != TYPE_SOCKET) {
                throw new SocketPathException(path, Reason.NOT_A_SOCKET, "exists and is not a socket");
            }
            if (isInUse(path)) {
                throw new SocketPathException(path, Reason.IN_USE, "in use: another program listens on it");
            }
            Files.deleteIfExists(path);
        } catch (NoSuchFileException e) {
            // Nothing there: nothing to clear.
        } catch (SocketPathException e) {
            throw e;
        } catch (IOException e) {
            throw new SocketPathException(path, Reason.REFUSED, "exists and cannot be replaced: " + explain(e), e);
        }
    }

    /** Whether somebody listens: a connect that does not block is accepted, or finds a full queue. */
    private static boolean isInUse(Path path) throws IOException {
        try (SocketChannel probe = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            probe.configureBlocking(false);
            probe.connect(UnixDomainSocketAddress.of(path));
            return true;
        } catch (ConnectException refused) {
            return false;
        } catch (IOException e) {
            // EAGAIN: a full queue. EPROTOTYPE: a living datagram or seqpacket socket, a dead one refuses.
            String reason = explain(e);
            if (reason.contains("temporarily unavailable") || reason.contains("wrong type")) {
                return true;
            }
            throw e;
        }
    }

    private static Path privatePlace(Path path) throws SocketPathException {
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            String name =
                    ".slipway-" + Integer.toString(ThreadLocalRandom.current().nextInt(36 * 36 * 36 * 36), 36);
            Path folder = path.resolveSibling(name);
            Path place = folder.resolve("s");
            if (bytes(place) >= PLATFORM_LIMIT) {
                return path;
            }
            try {
                Files.createDirectory(folder, PosixFilePermissions.asFileAttribute(OWNER_FOLDER));
                return place;
            } catch (FileAlreadyExistsException e) {
                continue;
            } catch (IOException e) {
                throw new SocketPathException(
                        path,
                        Reason.FOLDER_NOT_WRITABLE,
                        "cannot create anything in the folder "
                                + path.toAbsolutePath().getParent() + ": " + explain(e),
                        e);
            }
        }
        throw new SocketPathException(path, Reason.FOLDER_NOT_WRITABLE, "no free name for a private folder beside it");
    }

    private static String explain(IOException e) {
        if (e instanceof java.nio.file.FileSystemException f && f.getReason() != null) {
            return f.getReason().toLowerCase(Locale.ROOT);
        }
        return e.getMessage() == null
                ? e.getClass().getSimpleName()
                : e.getMessage().toLowerCase(Locale.ROOT);
    }

    /** The path that was asked for. */
    public Path path() {
        return path;
    }

    /** Where to bind the socket. */
    public Path bindTo() {
        return bindTo;
    }

    /**
     * Makes the bound socket the owner's only and puts it in its place.
     *
     * @throws SocketPathException if something has come there in the meantime; what was bound is then removed
     */
    public void publish() throws SocketPathException {
        try {
            Files.setPosixFilePermissions(bindTo, OWNER_ONLY);
            if (!bindTo.equals(path)) {
                Files.move(bindTo, path);
                Files.deleteIfExists(bindTo.getParent());
            }
            fileKey = fileKey();
        } catch (FileAlreadyExistsException e) {
            abandon();
            throw new SocketPathException(path, Reason.IN_USE, "in use: another program has just taken it", e);
        } catch (IOException e) {
            delete(bindTo);
            abandon();
            throw new SocketPathException(path, Reason.REFUSED, "cannot put the socket there: " + explain(e), e);
        }
    }

    /** Removes what {@code prepare} has made; for when the bind failed or was given up. */
    public void abandon() {
        if (!bindTo.equals(path)) {
            delete(bindTo);
            delete(bindTo.getParent());
        }
    }

    private static void delete(Path path) {
        try {
            Files.deleteIfExists(path);
        } catch (IOException e) {
            // An empty private folder stays behind; the failure that led here is what is reported.
            return;
        }
    }

    /** Removes the socket, unless the path belongs to another one by now. */
    public void remove() {
        try {
            if (fileKey != null && fileKey.equals(fileKey())) {
                Files.deleteIfExists(path);
            }
        } catch (IOException e) {
            // It has gone already, or its folder has: that is what was wanted.
            return;
        }
    }

    private Object fileKey() throws IOException {
        return Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
                .fileKey();
    }
}
