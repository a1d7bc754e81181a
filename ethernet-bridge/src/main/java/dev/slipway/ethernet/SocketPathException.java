package dev.slipway.ethernet;

import java.io.IOException;
import java.nio.file.Path;

/**
 * A channel cannot be made at its place: a Unix socket at a path, a TCP port, a TAP device in a namespace, an inherited
 * descriptor. The message names the place and says why, for people.
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
        NO_DEVICE,
        /** The platform, or the transport, does not have what it takes. */
        NOT_SUPPORTED
    }

    private final String place;
    private final Reason reason;

    /** @param explanation what is wrong with it */
    public SocketPathException(String place, Reason reason, String explanation, Throwable cause) {
        super(place + ": " + explanation, cause);
        this.place = place;
        this.reason = reason;
    }

    /** @param explanation what is wrong with it */
    public SocketPathException(String place, Reason reason, String explanation) {
        this(place, reason, explanation, null);
    }

    /** @param explanation what is wrong with it */
    public SocketPathException(Path path, Reason reason, String explanation, Throwable cause) {
        this(path.toString(), reason, explanation, cause);
    }

    /** @param explanation what is wrong with it */
    public SocketPathException(Path path, Reason reason, String explanation) {
        this(path, reason, explanation, null);
    }

    /** The place that was asked for. */
    public String place() {
        return place;
    }

    public Reason reason() {
        return reason;
    }
}
