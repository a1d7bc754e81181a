package dev.slipway.ethernet;

import java.io.IOException;
import java.nio.file.Path;

/**
 * A channel cannot be made at its place: a Unix socket at a path, or a TAP device in a namespace. The message names the
 * place and says why, for people.
 */
public final class SocketPathException extends IOException {

    private static final long serialVersionUID = 1L;

    /** Why not. */
    public enum Reason {
        /** Longer than the platform's {@code sun_path} takes. */
        TOO_LONG,
        /** The folder does not exist, or is none. */
        NO_FOLDER,
        /** Nothing can be created in the folder. */
        FOLDER_NOT_WRITABLE,
        /** Something that is not a socket is there; it is left alone. */
        NOT_A_SOCKET,
        /** Somebody listens there. */
        IN_USE,
        /** There is a socket that may be neither used nor removed, or the system refused for another reason. */
        REFUSED,
        /** The network device cannot be made or opened. */
        NO_DEVICE
    }

    private final transient Path path;
    private final Reason reason;

    /** @param explanation what is wrong with it */
    public SocketPathException(Path path, Reason reason, String explanation, Throwable cause) {
        super(path + ": " + explanation, cause);
        this.path = path;
        this.reason = reason;
    }

    /** @param explanation what is wrong with it */
    public SocketPathException(Path path, Reason reason, String explanation) {
        this(path, reason, explanation, null);
    }

    /** The path that was asked for. */
    public Path path() {
        return path;
    }

    public Reason reason() {
        return reason;
    }
}
