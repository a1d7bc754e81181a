package dev.slipway.proxy;

import dev.slipway.seam.HostStream.ConnectFailure;

/**
 * Why there is no way to a destination.
 *
 * @param reason as far as it decides what a client is told
 * @param status of HTTP, which a client of an HTTP proxy is told
 * @param text for people, without credentials
 */
record DialFailure(Reason reason, int status, String text) {

    /** What went wrong. */
    enum Reason {
        NAME,
        REFUSED,
        UNREACHABLE,
        TIMED_OUT,
        PROHIBITED,
        EXHAUSTED,
        /** The proxy itself said no. */
        PROXY_SAYS_NO,
        /** What the proxy said was not understood, or it hung up. */
        PROXY_BROKEN
    }

    static DialFailure name(String name) {
        return new DialFailure(Reason.NAME, 502, "the name " + name + " has no address");
    }

    static DialFailure prohibited(String what) {
        return new DialFailure(Reason.PROHIBITED, 403, what + " is not to be reached from here");
    }

    static DialFailure of(ConnectFailure failure, String what) {
        return switch (failure) {
            case REFUSED -> new DialFailure(Reason.REFUSED, 502, what + " refuses connections");
            case HOST_UNREACHABLE, NETWORK_UNREACHABLE ->
                new DialFailure(Reason.UNREACHABLE, 502, "there is no way to " + what);
            case PROHIBITED -> prohibited(what);
            case TIMED_OUT -> new DialFailure(Reason.TIMED_OUT, 504, what + " does not answer");
            case EXHAUSTED -> new DialFailure(Reason.EXHAUSTED, 503, "the host has no socket left");
        };
    }
}
