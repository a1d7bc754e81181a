package dev.slipway.publish;

/** A socket of the host that clients of one published port come to. */
interface Listener {

    /** The port, where there is one. */
    int port();

    /** Stops listening; connections that go on go on. */
    void close();
}
