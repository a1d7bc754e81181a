package dev.slipway.proxy;

import java.util.function.Consumer;

/** What a guest may ask at the gateway's port {@value #PORT}, if anything. */
public interface GuestApi {

    /** The port of gvproxy's. */
    int PORT = 80;

    /**
     * What is answered.
     *
     * @param status of HTTP
     * @param type of the body
     * @param body may be empty
     */
    record Answer(int status, String type, byte[] body) {}

    /**
     * Answers a request; on the VM's event loop, and without waiting.
     *
     * @param path without the query
     * @param answer is to be called once, from any thread
     */
    void ask(String method, String path, byte[] body, Consumer<Answer> answer);
}
