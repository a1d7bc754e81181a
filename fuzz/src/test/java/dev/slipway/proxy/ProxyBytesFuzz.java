package dev.slipway.proxy;

import dev.slipway.fuzz.Input;
import dev.slipway.wire.IpAddress;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;

/**
 * What clients, servers and proxies say where this process reads it: HTTP's heads and bodies, hellos of TLS, SOCKS, names
 * and addresses. Cut into pieces or not, the same is found.
 */
public final class ProxyBytesFuzz {

    private ProxyBytesFuzz() {}

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void fuzzerTestOneInput(byte[] data) {
        Input input = new Input(data);
        int kind = input.u8();
        int cut = input.u16();
        byte[] bytes = input.rest();
        switch (kind % 6) {
            case 0 -> message(bytes, true, cut);
            case 1 -> message(bytes, false, cut);
            case 2 -> hello(bytes);
            case 3 -> socks(bytes, cut);
            case 4 -> connect(bytes, cut);
            default -> texts(new String(bytes, StandardCharsets.ISO_8859_1));
        }
    }

    private static void message(byte[] bytes, boolean request, int cut) {
        try {
            HeadReader reader = new HeadReader();
            ByteBuf first = Unpooled.wrappedBuffer(bytes, 0, Math.min(cut, bytes.length));
            boolean whole = reader.read(first);
            ByteBuf rest = whole
                    ? first
                    : Unpooled.wrappedBuffer(bytes, Math.min(cut, bytes.length), Math.max(0, bytes.length - cut));
            if (!whole && !reader.read(rest)) {
                return;
            }
            HttpHead head = request
                    ? HttpHead.request(reader.bytes(), reader.length())
                    : HttpHead.response(reader.bytes(), reader.length());
            if (request) {
                HttpTarget.of(head, Optional.of(new Target("", Optional.of(IpAddress.ofV4(0x0A00_0001)), 80)));
            }
            HttpBody body = request ? HttpBody.ofRequest(head) : HttpBody.ofResponse(head, "GET");
            byte[] content = new byte[rest.readableBytes()];
            rest.getBytes(rest.readerIndex(), content);
            body(head, request, body, content, cut);
            head.removeHopByHop();
            byte[] again = request ? head.toRequest("/") : head.toResponse();
            HttpHead second = request ? HttpHead.request(again, again.length) : HttpHead.response(again, again.length);
            check(second.minorVersion() == head.minorVersion() || !request, "another version");
        } catch (MalformedException e) {
            check(e.status() >= 400 && e.status() < 600, "status " + e.status());
        }
    }

    private static void body(HttpHead head, boolean request, HttpBody whole, byte[] content, int cut)
            throws MalformedException {
        int taken = 0;
        boolean failed = false;
        try {
            taken = whole.accept(Unpooled.wrappedBuffer(content));
        } catch (MalformedException e) {
            failed = true;
        }
        check(taken <= content.length, "more than there is");
        HttpBody pieces = request ? HttpBody.ofRequest(head) : HttpBody.ofResponse(head, "GET");
        int at = 0;
        try {
            while (at < content.length && !pieces.isDone()) {
                int piece = Math.min(content.length - at, 1 + cut % 7);
                int stepped = pieces.accept(Unpooled.wrappedBuffer(content, at, piece));
                at += stepped;
                if (stepped < piece) {
                    break;
                }
            }
            check(!failed, "in pieces it is none the worse");
            check(at == taken && pieces.isDone() == whole.isDone(), at + " bytes in pieces, " + taken + " at once");
        } catch (MalformedException e) {
            check(failed, "in pieces it is malformed, at once it is not");
        }
    }

    private static void hello(byte[] bytes) {
        ClientHello.Finding whole = ClientHello.look(bytes, bytes.length);
        for (int length = 0; length < bytes.length; length += 1 + bytes.length / 16) {
            ClientHello.Finding part = ClientHello.look(bytes, length);
            check(part.isTls() || !whole.isTls(), "TLS as a whole, but not its beginning");
            if (part.isComplete() && part.isTls()) {
                check(part.equals(whole), "more bytes make it another name");
            }
        }
        check(
                whole.name().length() <= ClientHello.LIMIT,
                "a name of " + whole.name().length());
    }

    private static final ProxyAddress SOCKS = ProxyAddress.parse("socks5://user:secret@proxy:1080");
    private static final ProxyAddress HTTP = ProxyAddress.parse("http://user:secret@proxy:3128");

    private static void socks(byte[] bytes, int cut) {
        int[] ends = new int[2];
        SocksHandshake handshake = new SocksHandshake(
                SOCKS, new Target("example.test", Optional.empty(), 443), () -> ends[0]++, failure -> ends[1]++);
        EmbeddedChannel channel = new EmbeddedChannel(handshake);
        handshake.begin();
        exchange(channel, bytes, cut);
        check(ends[0] + ends[1] <= 1, "it ended twice");
    }

    private static void connect(byte[] bytes, int cut) {
        int[] ends = new int[2];
        ConnectHandshake handshake = new ConnectHandshake(
                HTTP, new Target("example.test", Optional.empty(), 443), () -> ends[0]++, failure -> ends[1]++);
        EmbeddedChannel channel = new EmbeddedChannel(handshake);
        handshake.begin();
        exchange(channel, bytes, cut);
        check(ends[0] + ends[1] <= 1, "it ended twice");
    }

    private static void exchange(EmbeddedChannel channel, byte[] bytes, int cut) {
        int middle = Math.min(cut, bytes.length);
        channel.writeInbound(Unpooled.copiedBuffer(bytes, 0, middle));
        channel.writeInbound(Unpooled.copiedBuffer(bytes, middle, bytes.length - middle));
        channel.finishAndReleaseAll();
    }

    /** What is told of the same proxy when there are no credentials in its URL. */
    private static String withoutCredentials(String url) {
        int scheme = url.indexOf("://");
        int credentials = scheme < 0 ? 0 : scheme + 3;
        int rest = Math.max(credentials, url.lastIndexOf('@') + 1);
        return ProxyAddress.parse(url.substring(0, credentials) + url.substring(rest))
                .toString();
    }

    private static void texts(String text) {
        try {
            HostPatterns.parse(text);
        } catch (IllegalArgumentException e) {
            check(e.getClass() == IllegalArgumentException.class, e.toString());
        }
        try {
            String told = ProxyAddress.parse(text).toString();
            check(told.replace("***@", "").equals(withoutCredentials(text)), "it tells more than the proxy: " + told);
        } catch (IllegalArgumentException e) {
            check(e.getClass() == IllegalArgumentException.class, e.toString());
        }
        for (String line : Arrays.asList(text.split("\n"))) {
            try {
                HttpTarget.authority(line, 80);
            } catch (MalformedException e) {
                check(e.status() == 400, "status " + e.status());
            }
        }
    }
}
