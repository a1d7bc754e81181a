package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class HttpBodyTest {

    private static HttpBody request(String fields) throws MalformedException {
        byte[] bytes = ("POST / HTTP/1.1\r\n" + fields + "\r\n").getBytes(StandardCharsets.ISO_8859_1);
        return HttpBody.ofRequest(HttpHead.request(bytes, bytes.length));
    }

    private static HttpBody response(String status, String fields, String method) throws MalformedException {
        byte[] bytes = ("HTTP/1.1 " + status + "\r\n" + fields + "\r\n").getBytes(StandardCharsets.ISO_8859_1);
        return HttpBody.ofResponse(HttpHead.response(bytes, bytes.length), method);
    }

    private static HttpBody chunked() throws MalformedException {
        return request("Transfer-Encoding: chunked\r\n");
    }

    private static ByteBuf bytes(String text) {
        return Unpooled.wrappedBuffer(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Content-Length: 5\r\nContent-Length: 5\r\n",
                "Content-Length: 5\r\nContent-Length: 6\r\n",
                "Content-Length: 5, 5\r\n",
                "Content-Length: +5\r\n",
                "Content-Length: -5\r\n",
                "Content-Length: 0x5\r\n",
                "Content-Length: 5 \r\nTransfer-Encoding: chunked\r\n",
                "Content-Length: 99999999999999999999\r\n",
                "Content-Length:\r\n",
                "Transfer-Encoding: xchunked\r\n",
                "Transfer-Encoding: gzip, chunked\r\n",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                "Transfer-Encoding: chunked, identity\r\n",
            })
    void aRequestWhoseEndIsNotCertainIsRefused(String fields) {
        assertThatThrownBy(() -> request(fields)).isInstanceOf(MalformedException.class);
    }

    @Test
    void chunksToAClientOfHttp10AreRefused() {
        byte[] bytes = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1);
        assertThatThrownBy(() -> HttpBody.ofRequest(HttpHead.request(bytes, bytes.length)))
                .isInstanceOf(MalformedException.class);
    }

    @Test
    void theEndOfChunksIsFoundHoweverTheyAreCut() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        String text = "4;a=\"b\"\r\nWiki\r\n10 \r\n0123456789abcdef\r\n000\r\nX-Trailer: 1\r\nY: 2\r\n\r\n";
        for (int round = 0; round < 500; round++) {
            HttpBody body = chunked();
            String all = text + "GET /next";
            int passed = 0;
            int at = 0;
            while (!body.isDone()) {
                int length = Math.min(all.length() - at, 1 + random.nextInt(12));
                int taken = body.accept(bytes(all.substring(at, at + length)));
                passed += taken;
                at += length;
                assertThat(body.isDone() || taken == length).as("seed %d", seed).isTrue();
            }
            assertThat(passed).as("seed %d", seed).isEqualTo(text.length());
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\r\n",
                "x\r\n",
                ";a\r\n",
                "5\nhello\r\n",
                "5\r\nhelloX\r\n",
                "5\r\nhello\rX",
                "5;a\nb\r\n",
                "5;a\0\r\n",
                "-1\r\n",
                "+1\r\n",
                "0x1\r\n",
                "1000000000000000\r\n",
                "0\r\nX: 1\nY: 2\r\n\r\n",
                "0\r\n folded\r\n",
                "0\r\nX\r\r\n",
            })
    void chunksThatCouldBeReadInTwoWaysAreRefused(String text) {
        assertThatThrownBy(() -> chunked().accept(bytes(text))).isInstanceOf(MalformedException.class);
    }

    @Test
    void linesBetweenChunksHaveALimit() {
        assertThatThrownBy(() -> chunked().accept(bytes("5;" + "a".repeat(5_000))))
                .isInstanceOf(MalformedException.class);
        assertThatThrownBy(() -> chunked().accept(bytes("0\r\n" + "X: aaaaaaaaaaaaaaaaaa\r\n".repeat(2_000))))
                .isInstanceOf(MalformedException.class);
    }

    @Test
    void aResponseEndsByItsStatusItsLengthItsChunksOrTheConnection() throws Exception {
        assertThat(response("200 OK", "Content-Length: 5\r\n", "HEAD").isDone()).isTrue();
        assertThat(response("204 No Content", "", "GET").isDone()).isTrue();
        assertThat(response("304 Not Modified", "Content-Length: 5\r\n", "GET").isDone())
                .isTrue();
        assertThat(response("200 OK", "Content-Length: 0\r\n", "GET").isDone()).isTrue();
        assertThat(response("200 OK", "Content-Length: 5\r\nContent-Length: 5\r\n", "GET")
                        .kind())
                .isEqualTo(HttpBody.Kind.LENGTH);
        assertThat(response("200 OK", "Transfer-Encoding: gzip, chunked\r\n", "GET")
                        .kind())
                .isEqualTo(HttpBody.Kind.CHUNKED);
        HttpBody open = response("200 OK", "", "GET");
        assertThat(open.kind()).isEqualTo(HttpBody.Kind.CLOSE);
        assertThat(open.accept(bytes("abc"))).isEqualTo(3);
        assertThat(open.endsHere()).isTrue();
        assertThat(response("200 OK", "Content-Length: 5\r\n", "GET").endsHere())
                .isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Content-Length: 5\r\nContent-Length: 6\r\n",
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "Content-Length: five\r\n"
            })
    void aResponseWhoseEndIsNotCertainIsRefused(String fields) {
        assertThatThrownBy(() -> response("200 OK", fields, "GET")).isInstanceOf(MalformedException.class);
    }
}
