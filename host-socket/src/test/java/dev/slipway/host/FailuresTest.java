package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.HostStream.ConnectFailure;
import io.netty.channel.ChannelException;
import io.netty.channel.ConnectTimeoutException;
import java.io.IOException;
import java.net.BindException;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.SocketException;
import org.junit.jupiter.api.Test;

final class FailuresTest {

    @Test
    void whatTheTransportsThrowSaysWhatTheGuestIsTold() {
        assertThat(Failures.ofConnect(new ConnectException("Connection refused: /127.0.0.1:9")))
                .isEqualTo(ConnectFailure.REFUSED);
        assertThat(Failures.ofConnect(new ConnectTimeoutException("connection timed out after 1 ms")))
                .isEqualTo(ConnectFailure.TIMED_OUT);
        assertThat(Failures.ofConnect(new ConnectException("finishConnect(..) failed: Connection timed out: /1.2.3.4")))
                .isEqualTo(ConnectFailure.TIMED_OUT);
        assertThat(Failures.ofConnect(new NoRouteToHostException("No route to host")))
                .isEqualTo(ConnectFailure.HOST_UNREACHABLE);
        // The native transports throw this type for ENETUNREACH, too.
        assertThat(Failures.ofConnect(new NoRouteToHostException("connect(..) failed: Network is unreachable")))
                .isEqualTo(ConnectFailure.NETWORK_UNREACHABLE);
        assertThat(Failures.ofConnect(new SocketException("Network is unreachable")))
                .isEqualTo(ConnectFailure.NETWORK_UNREACHABLE);
        assertThat(Failures.ofConnect(new SocketException("Operation not permitted")))
                .isEqualTo(ConnectFailure.PROHIBITED);
        assertThat(Failures.ofConnect(new BindException("Permission denied"))).isEqualTo(ConnectFailure.PROHIBITED);
        assertThat(Failures.ofConnect(new BindException("Cannot assign requested address")))
                .isEqualTo(ConnectFailure.EXHAUSTED);
        assertThat(Failures.ofConnect(
                        new ChannelException("Unable to create", new SocketException("Too many open files"))))
                .isEqualTo(ConnectFailure.EXHAUSTED);
        assertThat(Failures.ofConnect(new IOException())).isEqualTo(ConnectFailure.REFUSED);
    }

    @Test
    void whatSendingThrowsSaysWhatTheGuestIsTold() {
        assertThat(Failures.ofSend(new IOException("sendTo(..) failed: Message too long")))
                .isEqualTo(Verdict.TOO_BIG);
        assertThat(Failures.ofSend(new IOException("Network is unreachable"))).isEqualTo(Verdict.NETWORK_UNREACHABLE);
        assertThat(Failures.ofSend(new NoRouteToHostException("No route to host")))
                .isEqualTo(Verdict.HOST_UNREACHABLE);
        assertThat(Failures.ofSend(new IOException("Permission denied"))).isEqualTo(Verdict.PROHIBITED);
        assertThat(Failures.ofSend(new IOException("Resource temporarily unavailable")))
                .isEqualTo(Verdict.LOST);
    }
}
