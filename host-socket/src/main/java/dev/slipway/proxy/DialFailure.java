package dev.slipway.proxy;

import dev.slipway.seam.HostStream.ConnectFailure;
import io.netty.handler.ssl.NotSslRecordException;
import io.netty.handler.ssl.SslHandshakeTimeoutException;
import java.security.GeneralSecurityException;

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
        /** The proxy has a certificate that is not to be trusted. */
        CERTIFICATE,
        /** What the proxy said was not understood, or it hung up. */
        PROXY_BROKEN
    }

    static DialFailure name(String name) {
        return new DialFailure(Reason.NAME, 502, "the name " + name + " has no address");
    }

    static DialFailure prohibited(String what) {
        return new DialFailure(Reason.PROHIBITED, 403, what + " is not to be reached from here");
    }

    /** A proxy that cannot be spoken to in TLS (RFC 9110, section 4.3.4, for its certificate). */
    static DialFailure tls(String proxy, Throwable cause) {
        if (cause instanceof SslHandshakeTimeoutException) {
            return new DialFailure(Reason.TIMED_OUT, 504, proxy + " does not answer in TLS");
        }
        if (cause instanceof NotSslRecordException) {
            return new DialFailure(Reason.PROXY_BROKEN, 502, proxy + " does not speak TLS");
        }
        for (Throwable each = cause; each != null; each = each.getCause()) {
            if (each instanceof GeneralSecurityException && each.getCause() == null) {
                return new DialFailure(
                        Reason.CERTIFICATE, 502, "the certificate of " + proxy + " is not valid: " + each.getMessage());
            }
        }
        return new DialFailure(Reason.PROXY_BROKEN, 502, "no TLS with " + proxy + ": " + cause.getMessage());
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
