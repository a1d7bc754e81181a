package dev.slipway.proxy;

import dev.slipway.proxy.ProxySettings.Kind;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * A connection to a port of the web that knows of no proxy: looks at its first bytes, which stay where they are, and
 * hands it to who can serve it. A guest that says nothing, or nothing that can be understood in time, gets a tunnel to
 * the address it dialled.
 */
final class Sniffer implements GuestStream.Service {

    /** How long a guest may say nothing before it is taken for one that waits for the server, in milliseconds. */
    static final int SILENCE_MILLIS = 3_000;

    /** How long it may take over its first line or hello, in milliseconds. */
    static final int HALF_MILLIS = 10_000;

    private static final int LINE_MAX = 16 << 10;
    private static final int METHOD_MAX = 32;
    private static final int FIRST = 1 << 10;

    private final ProxyContext context;
    private final GuestStream stream;
    private final Dialer dialer;
    private final Target dialled;
    private byte[] bytes = new byte[FIRST];
    private int length;
    private Runnable cancelTimer;
    private boolean done;

    Sniffer(ProxyContext context, GuestStream stream, Dialer dialer, Target dialled) {
        this.context = context;
        this.stream = stream;
        this.dialer = dialer;
        this.dialled = dialled;
        this.cancelTimer = context.after(SILENCE_MILLIS, this::opaque);
        stream.service(this);
        stream.accept();
    }

    @Override
    public void fromGuest() {
        if (done) {
            return;
        }
        boolean first = length == 0;
        int copied = stream.copyInput(length, bytes, length);
        length += copied;
        while (length == bytes.length && length < ClientHello.LIMIT) {
            bytes = java.util.Arrays.copyOf(bytes, length * 2);
            length += stream.copyInput(length, bytes, length);
        }
        if (length > 0 && !decide()) {
            if (stream.hasInputEnded() || length == bytes.length) {
                opaque();
            } else if (first) {
                cancelTimer.run();
                cancelTimer = context.after(HALF_MILLIS, this::opaque);
            }
        } else if (length == 0 && stream.hasInputEnded()) {
            opaque();
        }
    }

    /** Hands the connection on, if its first bytes say to whom. */
    private boolean decide() {
        ClientHello.Finding hello = ClientHello.look(bytes, length);
        if (hello.isTls()) {
            if (hello.isComplete()) {
                tunnel(Kind.TUNNEL, dialled.named(hello.name()));
            }
            return hello.isComplete();
        }
        if (!context.settings().get().httpPorts().contains(dialled.port())) {
            opaque();
            return true;
        }
        Optional<Boolean> http = isHttp();
        if (http.isEmpty()) {
            return false;
        }
        if (http.get()) {
            finish();
            new HttpFlow(context, stream, dialer, Optional.of(dialled)).fromGuest();
        } else {
            opaque();
        }
        return true;
    }

    /** Whether this is a request of HTTP/1.x; empty if that cannot be told yet. */
    private Optional<Boolean> isHttp() {
        int at = 0;
        while (at < length && (bytes[at] == '\r' || bytes[at] == '\n')) {
            at++;
        }
        int begin = at;
        while (at < length && at - begin <= METHOD_MAX && bytes[at] != ' ') {
            at++;
        }
        String method = new String(bytes, begin, at - begin, StandardCharsets.ISO_8859_1);
        if (at - begin > METHOD_MAX || !method.isEmpty() && !HttpHead.isToken(method)) {
            return Optional.of(false);
        }
        if (at == length) {
            return Optional.empty();
        }
        int end = at;
        while (end < length && bytes[end] != '\n') {
            end++;
        }
        if (end == length) {
            // A line that is too long is for the one who reads heads to refuse.
            return length - begin > LINE_MAX ? Optional.of(true) : Optional.empty();
        }
        String line = new String(bytes, at, end - at, StandardCharsets.ISO_8859_1).stripTrailing();
        return Optional.of(line.matches(".* HTTP/1\\.[0-9]"));
    }

    private void opaque() {
        if (!done) {
            context.counters().opaque++;
            tunnel(Kind.OPAQUE, dialled);
        }
    }

    private void tunnel(Kind kind, Target target) {
        finish();
        Optional<ProxyRoute> route =
                context.maySpeakTo(dialled, target) ? ProxyRoute.find(context, kind, target) : Optional.empty();
        if (route.isEmpty()) {
            stream.abort();
        } else {
            Tunnel.dial(context, stream, true, dialer, route.get(), route.get().target());
        }
    }

    private void finish() {
        done = true;
        cancelTimer.run();
    }

    @Override
    public void roomToGuest() {
        // Nothing is sent before it is known who serves.
    }

    @Override
    public void gone(boolean inOrder) {
        finish();
    }
}
