package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class HttpHeadTest {

    private static HttpHead request(String text) throws MalformedException {
        byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
        return HttpHead.request(bytes, bytes.length);
    }

    private static HttpHead response(String text) throws MalformedException {
        byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
        return HttpHead.response(bytes, bytes.length);
    }

    @Test
    void fieldsKeepTheirOrderAndCase() throws Exception {
        HttpHead head = request("GET /a?b HTTP/1.1\r\nhOsT: x\r\nX-A:  1 \r\nx-a: 2\r\nE:\r\n\r\n");
        assertThat(head.all("X-A")).containsExactly("1", "2");
        assertThat(new String(head.toRequest("http://x/a?b"), StandardCharsets.ISO_8859_1))
                .isEqualTo("GET http://x/a?b HTTP/1.1\r\nhOsT: x\r\nX-A: 1\r\nx-a: 2\r\nE: \r\n\r\n");
    }

    @Test
    void whatIsMeantForThisHopGoes() throws Exception {
        HttpHead head = request("GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Mine,Host\r\nX-Mine: 1\r\n"
                + "Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nAccept: a\r\n\r\n");
        head.removeHopByHop();
        assertThat(new String(head.toRequest("/"), StandardCharsets.ISO_8859_1))
                .isEqualTo("GET / HTTP/1.1\r\nHost: x\r\nAccept: a\r\n\r\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "GET / HTTP/1.1\nHost: x\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
                "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
                "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nno field\r\n\r\n",
                "GET / HTTP/1.1\r\n: x\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n",
                "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
                "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
                "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
                "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
                "GET / http/1.1\r\nHost: x\r\n\r\n",
                "GET /\r\n\r\n",
            })
    void aRequestThatCouldBeReadInTwoWaysIsRefused(String text) {
        assertThatThrownBy(() -> request(text)).isInstanceOf(MalformedException.class);
    }

    @Test
    void aResponseMayBeFoldedAndEndItsLinesWithALineFeedAndIsWrittenWithoutEither() throws Exception {
        HttpHead head = response("HTTP/1.0 200 OK fine\nA: 1\r\n  2\nB : 3\n\n");
        assertThat(head.minorVersion()).isZero();
        assertThat(new String(head.toResponse(), StandardCharsets.ISO_8859_1))
                .isEqualTo("HTTP/1.1 200 OK fine\r\nA: 1 2\r\nB: 3\r\n\r\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "SSH-2.0-OpenSSH\r\n\r\n",
                "HTTP/1.1 2000 OK\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
                "HTTP/2 200\r\n\r\n"
            })
    void whatIsNoResponseIsRefused(String text) {
        assertThatThrownBy(() -> response(text)).isInstanceOf(MalformedException.class);
    }

    @Test
    void aHeadIsReadByteByByteAndNoFurther() throws Exception {
        HeadReader reader = new HeadReader();
        byte[] text = "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nGET".getBytes(StandardCharsets.ISO_8859_1);
        int at = 0;
        while (!reader.read(Unpooled.wrappedBuffer(text, at, 1))) {
            at++;
        }
        assertThat(new String(text, at + 1, text.length - at - 1, StandardCharsets.ISO_8859_1))
                .isEqualTo("GET");
        assertThat(HttpHead.request(reader.bytes(), reader.length()).target()).isEqualTo("/");
    }

    @Test
    void aHeadWithoutAnEndIsGivenUpAtItsLimit() {
        HeadReader reader = new HeadReader();
        ByteBuf line = Unpooled.wrappedBuffer("X-Endless: 0123456789\r\n".getBytes(StandardCharsets.ISO_8859_1));
        assertThatThrownBy(() -> {
                    for (int i = 0; i < 10_000; i++) {
                        reader.read(line.duplicate());
                    }
                })
                .isInstanceOfSatisfying(
                        MalformedException.class, e -> assertThat(e.status()).isEqualTo(431));
        assertThat(reader.bytes().length).isLessThanOrEqualTo(HeadReader.LIMIT);
    }
}
