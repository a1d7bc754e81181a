package dev.slipway.proxy;

import dev.slipway.proxy.DialFailure.Reason;
import dev.slipway.proxy.Dialer.Way;
import dev.slipway.proxy.ProxySettings.Kind;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A guest's connection that speaks HTTP/1.x: to a server of the web without knowing of a proxy, or to the gateway's
 * proxy. Request by request, each by its own way: to a proxy in absolute form, to an origin as it came.
 *
 * <pre>
 *   HEAD ──request──▶ DIALLING ──connected──▶ EXCHANGE ──response and request complete──▶ HEAD …
 *                        └── a connection that is still there ──▲
 * </pre>
 *
 * One request is under way at a time; those that were sent behind it wait unread, which keeps pipelined responses in
 * order. Request and response pass at the same time, byte for byte but for their heads. CONNECT and a granted upgrade
 * make a {@link Tunnel} of it.
 *
 * <p>What is refused gets a response of ours, with the reason as text, and the connection ends.
 */
final class HttpFlow implements GuestStream.Service, Upstream.Owner {

    /** How long half a head may wait for the rest, in milliseconds. */
    static final int HEAD_MILLIS = 60_000;

    private static final Set<String> REPEATABLE = Set.of("GET", "HEAD", "OPTIONS", "PUT", "DELETE");
    private static final int PIECE = 64 << 10;
    private static final byte[] ESTABLISHED =
            "HTTP/1.1 200 Connection established\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1);

    private enum Stage {
        HEAD,
        DIALLING,
        EXCHANGE,
        OVER
    }

    private final ProxyContext context;
    private final GuestStream stream;
    private final Dialer dialer;
    private final Optional<Target> dialled;
    private final HeadReader requests = new HeadReader();
    private final HeadReader responses = new HeadReader();
    private Stage stage = Stage.HEAD;
    private Runnable cancelTimer = () -> {};
    private boolean timing;

    private HttpHead request;
    private HttpBody requestBody;
    private HttpTarget target;
    private boolean persistent;
    private List<String> upgrade = List.of();
    private boolean connect;
    private boolean responseBegun;

    private Upstream upstream;
    private ProxyRoute route;
    private Way way;
    private boolean reused;
    private boolean upstreamPersistent;
    private long idleSince;
    private HttpBody responseBody;
    private boolean closeAfter;

    /** @param dialled the address that the guest dialled without knowing of a proxy; empty if it asks one */
    HttpFlow(ProxyContext context, GuestStream stream, Dialer dialer, Optional<Target> dialled) {
        this.context = context;
        this.stream = stream;
        this.dialer = dialer;
        this.dialled = dialled;
        stream.service(this);
    }

    // ---- the request

    @Override
    public void fromGuest() {
        try {
            while (stage == Stage.HEAD && readHead()) {
                begin();
            }
            if (stage == Stage.EXCHANGE) {
                passBody();
            }
        } catch (MalformedException e) {
            malformed(e);
        }
    }

    private boolean readHead() throws MalformedException {
        while (true) {
            ByteBuf input = stream.input();
            if (input == null) {
                if (stream.hasInputEnded()) {
                    finish();
                }
                return false;
            }
            int before = input.readableBytes();
            boolean complete;
            try {
                complete = requests.read(input);
            } finally {
                stream.inputRead(before - input.readableBytes());
            }
            if (complete) {
                cancelTimer.run();
                timing = false;
                return true;
            }
            if (requests.hasBegun() && !timing) {
                // From its first byte on: a byte now and then does not keep it waiting for ever.
                timing = true;
                cancelTimer = context.after(HEAD_MILLIS, () -> error(408, "the request's head did not come in time"));
            }
        }
    }

    private void begin() throws MalformedException {
        responseBegun = false;
        responseBody = null;
        connect = false;
        upgrade = List.of();
        request = null;
        HttpHead head;
        try {
            head = HttpHead.request(requests.bytes(), requests.length());
        } finally {
            requests.clear();
        }
        request = head;
        requestBody = HttpBody.ofRequest(head);
        persistent = head.isPersistent();
        if (head.method().equals("CONNECT")) {
            beginConnect(head);
            return;
        }
        target = HttpTarget.of(head, dialled);
        if (head.hasToken("Connection", "upgrade") && !head.hasToken("Upgrade", "h2c")) {
            upgrade = head.all("Upgrade");
        }
        boolean refused = dialled.isPresent() && !context.maySpeakTo(dialled.get(), target.target());
        Optional<ProxyRoute> found = refused ? Optional.empty() : ProxyRoute.find(context, Kind.HTTP, target.target());
        if (found.isEmpty()) {
            refusedByList(target.target());
            return;
        }
        // An upgrade is asked of the origin itself, through a tunnel: proxies do not pass it on.
        Way wanted = found.get()
                        .proxy()
                        .map(proxy -> proxy.scheme().isHttp() && upgrade.isEmpty())
                        .orElse(false)
                ? Way.FORWARD
                : Way.TUNNEL;
        target = new HttpTarget(found.get().target(), target.path());
        prepareHead(head, found.get(), wanted);
        context.counters().requests++;
        boolean there = upstream != null && leadsThere(found.get(), wanted);
        if (there && (isRepeatable() || context.kept().keeps(peer()))) {
            reused = true;
            send();
            return;
        }
        if (there) {
            Upstream idle = upstream;
            upstream = null;
            context.kept().dismiss(context, peer(), idle);
        }
        dial(found.get(), wanted);
    }

    /** Who is at the other end of the connection to the host and reads its requests. */
    private Object peer() {
        return way == Way.FORWARD ? route.proxy().orElseThrow() : route.target();
    }

    private boolean leadsThere(ProxyRoute wanted, Way wantedWay) {
        return upgrade.isEmpty()
                && way == wantedWay
                && route.proxy().equals(wanted.proxy())
                && (way == Way.FORWARD || route.target().equals(wanted.target()));
    }

    /**
     * Whether a request may be sent again if the connection breaks (RFC 9110, section 9.2.2). Others go on a connection
     * that is there already only if such are known to be kept.
     */
    private boolean isRepeatable() {
        return requestBody.kind() == HttpBody.Kind.NONE && REPEATABLE.contains(request.method());
    }

    private void dial(ProxyRoute wanted, Way wantedWay) {
        dropUpstream();
        route = wanted;
        way = wantedWay;
        reused = false;
        stage = Stage.DIALLING;
        responses.clear();
        upstream = dialer.dial(wanted.proxy(), wantedWay, wanted.target(), this);
    }

    private void beginConnect(HttpHead head) throws MalformedException {
        connect = true;
        if (requestBody.kind() != HttpBody.Kind.NONE && !requestBody.isDone()) {
            throw new MalformedException(400, "a CONNECT with a body");
        }
        Target wanted = HttpTarget.authority(head.target(), 0);
        Optional<ProxyRoute> found = ProxyRoute.find(context, Kind.TUNNEL, wanted);
        if (found.isEmpty()) {
            refusedByList(wanted);
        } else {
            dial(found.get(), Way.TUNNEL);
        }
    }

    private void refusedByList(Target wanted) {
        error(403, context.settings().get().allowErrorFor(wanted));
    }

    private void prepareHead(HttpHead head, ProxyRoute found, Way wanted) {
        head.remove("Proxy-Authorization");
        head.removeHopByHop();
        // What was judged is what the other end reads, whatever stands in Host beside a URL (RFC 9112, section 3.2.2).
        boolean isUrl = !head.target().startsWith("/") && !head.target().equals("*");
        if (wanted == Way.FORWARD || isUrl || !head.has("Host")) {
            head.setFirst("Host", target.hostField());
        }
        if (wanted == Way.FORWARD) {
            found.proxy()
                    .filter(ProxyAddress::hasCredentials)
                    .ifPresent(proxy -> head.add("Proxy-Authorization", proxy.authorization()));
        }
        if (!upgrade.isEmpty()) {
            head.add("Connection", "Upgrade");
            upgrade.forEach(protocol -> head.add("Upgrade", protocol));
        }
    }

    private void send() {
        stage = Stage.EXCHANGE;
        String firstLine = way == Way.FORWARD ? target.absolute() : target.path();
        upstream.write(Unpooled.wrappedBuffer(request.toRequest(firstLine)));
        if (requestBody.isDone()) {
            upstream.flush();
        }
    }

    private void passBody() throws MalformedException {
        boolean wrote = false;
        while (upstream != null && !requestBody.isDone() && upstream.isWritable()) {
            ByteBuf input = stream.input();
            if (input == null) {
                break;
            }
            int bytes = requestBody.accept(input);
            for (int left = bytes; left > 0; left -= Math.min(left, PIECE)) {
                upstream.write(stream.take(Math.min(left, PIECE)));
            }
            wrote |= bytes > 0;
        }
        if (wrote || upstream != null && stream.input() == null) {
            flushUpstream();
        }
        if (!requestBody.isDone() && stream.hasInputEnded() && stream.input() == null) {
            // Half a body: nobody can answer it.
            stream.abort();
            leave();
        }
    }

    private void flushUpstream() {
        if (upstream != null) {
            upstream.flush();
        }
    }

    // ---- the connection to the host

    @Override
    public void connected() {
        if (connect) {
            stage = Stage.OVER;
            stream.send(Unpooled.wrappedBuffer(ESTABLISHED));
            Tunnel.join(context, stream, upstream);
            return;
        }
        send();
        fromGuest();
    }

    @Override
    public void failed(DialFailure failure) {
        upstream = null;
        boolean takesRequests =
                route.proxy().map(proxy -> proxy.scheme().isHttp()).orElse(false);
        if (!upgrade.isEmpty() && takesRequests && failure.reason() == Reason.PROXY_SAYS_NO) {
            // No tunnel to that port: then as the proxy likes it, which may well answer without the upgrade.
            prepareHead(request, route, Way.FORWARD);
            dial(route, Way.FORWARD);
            return;
        }
        error(failure.status(), failure.text());
    }

    @Override
    public void received(ByteBuf bytes) {
        ByteBuf rest = bytes;
        try {
            while (rest != null && rest.isReadable() && stage == Stage.EXCHANGE) {
                if (responseBody == null) {
                    responseBegun = true;
                    if (responses.read(rest)) {
                        HttpHead head = HttpHead.response(responses.bytes(), responses.length());
                        responses.clear();
                        rest = beginResponse(head, rest);
                    }
                } else {
                    rest = passResponse(rest);
                }
            }
            if (rest != null && rest.isReadable() && stage == Stage.HEAD) {
                // Bytes that nobody asked for.
                dropUpstream();
            }
        } catch (MalformedException e) {
            error(502, "what was answered is not HTTP: " + e.getMessage());
        } finally {
            if (rest != null) {
                rest.release();
            }
        }
    }

    /** Returns what is left of the bytes, {@code null} if they were handed on. */
    private ByteBuf beginResponse(HttpHead head, ByteBuf rest) throws MalformedException {
        if (head.status() == 101) {
            if (upgrade.isEmpty()) {
                throw new MalformedException(502, "an upgrade that was not asked for");
            }
            stage = Stage.OVER;
            stream.send(Unpooled.wrappedBuffer(head.toResponse()));
            stream.send(rest);
            Tunnel.join(context, stream, upstream);
            return null;
        }
        if (head.status() < 200) {
            if (request.minorVersion() > 0) {
                head.removeHopByHop();
                stream.send(Unpooled.wrappedBuffer(head.toResponse()));
            }
            return rest;
        }
        if (head.status() == 407 && way == Way.FORWARD) {
            context.counters().refusedByProxy++;
            error(502, "the proxy " + route.proxy().orElseThrow() + " does not take the credentials it is given");
            return rest;
        }
        if (reused || head.hasToken("Connection", "keep-alive")) {
            context.kept().learn(peer(), true);
        }
        HttpBody body = HttpBody.ofResponse(head, request.method());
        if (body.kind() == HttpBody.Kind.CHUNKED && request.minorVersion() == 0) {
            throw new MalformedException(502, "chunks for a client of HTTP/1.0");
        }
        upstreamPersistent = head.isPersistent() && body.kind() != HttpBody.Kind.CLOSE;
        closeAfter = !persistent || body.kind() == HttpBody.Kind.CLOSE || !requestBody.isDone();
        head.removeHopByHop();
        head.remove("Proxy-Authenticate");
        if (closeAfter) {
            head.add("Connection", "close");
        }
        responseBody = body;
        stream.send(Unpooled.wrappedBuffer(head.toResponse()));
        if (body.isDone()) {
            responseDone(rest.isReadable());
        }
        return rest;
    }

    private ByteBuf passResponse(ByteBuf bytes) throws MalformedException {
        int length = responseBody.accept(bytes);
        boolean all = length == bytes.readableBytes();
        boolean done = responseBody.isDone();
        stream.send(all ? bytes : bytes.readRetainedSlice(length));
        if (done) {
            responseDone(!all);
        }
        return all ? null : bytes;
    }

    /** @param more whether bytes follow that nobody asked for */
    private void responseDone(boolean more) {
        if (closeAfter) {
            finish();
            return;
        }
        stage = Stage.HEAD;
        idleSince = System.nanoTime();
        if (!upstreamPersistent || more) {
            dropUpstream();
        }
        // What waits behind the request goes on in a turn of its own, so that a thousand do not make a thousand calls.
        context.loop().execute(this::next);
    }

    private void next() {
        if (stage == Stage.HEAD) {
            fromGuest();
        }
    }

    @Override
    public void ended() {
        // A close that anybody may have made ends no body (RFC 9112, section 9.8).
        if (stage == Stage.EXCHANGE
                && responseBody != null
                && upstream.hasEndedForCertain()
                && responseBody.endsHere()) {
            responseDone(false);
        } else {
            lost();
        }
    }

    @Override
    public void broken() {
        lost();
    }

    private void lost() {
        boolean soon = stage == Stage.HEAD && System.nanoTime() - idleSince < KeptConnections.WATCH_MILLIS * 1_000_000L;
        if (upstream != null && (soon || stage == Stage.EXCHANGE && reused && !responseBegun)) {
            context.kept().learn(peer(), false);
        }
        dropUpstream();
        if (stage != Stage.EXCHANGE) {
            return;
        }
        if (reused && !responseBegun && isRepeatable()) {
            // It was closed while the request was on its way, which is nothing that the guest did wrong.
            dial(route, way);
        } else if (reused && !responseBegun) {
            // The same, but nobody knows whether it was heard. So it ends as it would for one who speaks to the server.
            context.counters().failures++;
            finish();
        } else if (responseBody == null) {
            context.counters().failures++;
            error(
                    502,
                    route.proxy()
                                    .map(ProxyAddress::toString)
                                    .orElse(target.target().toString()) + " hung up before it answered");
        } else {
            // Cut off in the middle: the guest must not take it for all.
            stream.abort();
            leave();
        }
    }

    @Override
    public void writable() {
        fromGuest();
    }

    @Override
    public boolean hasRoom() {
        return stream.canSend();
    }

    @Override
    public void roomToGuest() {
        if (upstream != null) {
            upstream.resume();
        }
    }

    // ---- the end

    private void malformed(MalformedException problem) {
        context.counters().malformed++;
        error(problem.status(), "the request cannot be understood: " + problem.getMessage());
    }

    /** Answers in place of whom the guest wanted, and ends. */
    private void error(int status, String text) {
        if (stage == Stage.OVER) {
            return;
        }
        if (responseBody != null) {
            stream.abort();
            leave();
            return;
        }
        boolean headOnly = request != null && request.method().equals("HEAD");
        byte[] body = (text + "\n").getBytes(StandardCharsets.UTF_8);
        String head =
                "HTTP/1.1 " + HttpResponseStatus.valueOf(status) + "\r\nContent-Type: text/plain; charset=utf-8\r\n"
                        + "Content-Length: " + body.length + "\r\nConnection: close\r\n\r\n";
        stream.send(Unpooled.wrappedBuffer(head.getBytes(StandardCharsets.ISO_8859_1)));
        if (!headOnly) {
            stream.send(Unpooled.wrappedBuffer(body));
        }
        finish();
    }

    /** All that was to be said is said. */
    private void finish() {
        stream.sendEnd();
        stream.ignoreInput();
        leave();
    }

    private void leave() {
        stage = Stage.OVER;
        cancelTimer.run();
        dropUpstream();
    }

    private void dropUpstream() {
        if (upstream != null) {
            Upstream gone = upstream;
            upstream = null;
            boolean idle = stage == Stage.HEAD
                    || requestBody != null && requestBody.isDone() && responseBody != null && responseBody.isDone();
            if (idle) {
                gone.close();
            } else {
                gone.abort();
            }
        }
    }

    @Override
    public void gone(boolean inOrder) {
        leave();
    }
}
