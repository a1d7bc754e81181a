package dev.slipway.proxy;

/** Bytes that are not what they should be, or could be read in two ways. */
final class MalformedException extends Exception {

    private static final long serialVersionUID = 1;

    /** The status of HTTP that fits. */
    private final int status;

    MalformedException(int status, String problem) {
        super(problem, null, false, false);
        this.status = status;
    }

    int status() {
        return status;
    }
}
