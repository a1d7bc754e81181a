package dev.slipway.host;

import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.HostStream.ConnectFailure;
import io.netty.channel.ConnectTimeoutException;
import java.net.ConnectException;
import java.net.NoRouteToHostException;

/**
 * What an exception of a transport means for the guest. The native transports and NIO throw different types for the
 * same error of the kernel, and some types for several errors, so where the type does not tell, the kernel's own words
 * do (strerror in the C locale).
 */
final class Failures {

    private Failures() {}

    /** Why a connect failed. What is not known is taken for a refusal, which ends the guest's attempt at once. */
    static ConnectFailure ofConnect(Throwable cause) {
        for (Throwable each = cause; each != null; each = each.getCause()) {
            if (each instanceof ConnectTimeoutException) {
                return ConnectFailure.TIMED_OUT;
            }
            ConnectFailure named = named(each.getMessage());
            if (named != null) {
                return named;
            }
        }
        if (cause instanceof NoRouteToHostException) {
            return ConnectFailure.HOST_UNREACHABLE;
        }
        return ConnectFailure.REFUSED;
    }

    /** Why a datagram could not be sent. */
    static Verdict ofSend(Throwable cause) {
        for (Throwable each = cause; each != null; each = each.getCause()) {
            String message = each.getMessage();
            if (message != null && message.contains("Message too long")) {
                return Verdict.TOO_BIG;
            }
            ConnectFailure named = named(message);
            if (named == ConnectFailure.NETWORK_UNREACHABLE) {
                return Verdict.NETWORK_UNREACHABLE;
            }
            if (named == ConnectFailure.HOST_UNREACHABLE) {
                return Verdict.HOST_UNREACHABLE;
            }
            if (named == ConnectFailure.PROHIBITED) {
                return Verdict.PROHIBITED;
            }
            if (each instanceof ConnectException) {
                return Verdict.LOST;
            }
        }
        return Verdict.LOST;
    }

    private static ConnectFailure named(String message) {
        if (message == null) {
            return null;
        }
        if (message.contains("Connection refused")) {
            return ConnectFailure.REFUSED;
        }
        if (message.contains("timed out")) {
            return ConnectFailure.TIMED_OUT;
        }
        if (message.contains("Network is unreachable") || message.contains("Network is down")) {
            return ConnectFailure.NETWORK_UNREACHABLE;
        }
        if (message.contains("No route to host") || message.contains("Host is down")) {
            return ConnectFailure.HOST_UNREACHABLE;
        }
        if (message.contains("Permission denied") || message.contains("not permitted")) {
            return ConnectFailure.PROHIBITED;
        }
        // EMFILE, ENFILE, ENOBUFS, and EADDRNOTAVAIL when all ephemeral ports are taken.
        if (message.contains("Too many open files")
                || message.contains("No buffer space")
                || message.contains("assign requested address")) {
            return ConnectFailure.EXHAUSTED;
        }
        return null;
    }
}
