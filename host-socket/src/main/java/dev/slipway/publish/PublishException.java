package dev.slipway.publish;

/** A port could not be published, or was not. */
public final class PublishException extends Exception {

    private static final long serialVersionUID = 1L;

    /** What is wrong. */
    public enum Reason {
        /** Somebody has that port: this program, or another one of the host. */
        IN_USE,
        /** The host does not let this process have it, or has no such address. */
        REFUSED,
        /** No such port is published. */
        UNKNOWN,
        /** Too many ports are. */
        TOO_MANY
    }

    private final Reason reason;

    PublishException(Reason reason, String message) {
        super(message);
        this.reason = reason;
    }

    public Reason reason() {
        return reason;
    }
}
