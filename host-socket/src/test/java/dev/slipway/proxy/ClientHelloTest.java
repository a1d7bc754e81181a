package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.proxy.ClientHello.Finding;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import org.junit.jupiter.api.Test;

final class ClientHelloTest {

    /** A hello of the JDK's own TLS; without a name if there is none to ask for. */
    static byte[] hello(String name) throws Exception {
        SSLEngine engine = SSLContext.getDefault().createSSLEngine();
        engine.setUseClientMode(true);
        if (!name.isEmpty()) {
            SSLParameters parameters = engine.getSSLParameters();
            parameters.setServerNames(List.of(new SNIHostName(name)));
            engine.setSSLParameters(parameters);
        }
        ByteBuffer out = ByteBuffer.allocate(engine.getSession().getPacketBufferSize());
        engine.wrap(ByteBuffer.allocate(0), out);
        return Arrays.copyOf(out.array(), out.position());
    }

    /** The same message in records of that many bytes. */
    static byte[] inRecords(byte[] hello, int size) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int at = 5; at < hello.length; at += size) {
            int length = Math.min(size, hello.length - at);
            out.writeBytes(new byte[] {22, 3, 1, (byte) (length >>> 8), (byte) length});
            out.write(hello, at, length);
        }
        return out.toByteArray();
    }

    private static Finding look(byte[] bytes) {
        return ClientHello.look(bytes, bytes.length);
    }

    @Test
    void theNameIsFoundAndNotBeforeTheHelloIsWhole() throws Exception {
        byte[] hello = hello("www.example.com");
        for (int length = 1; length < hello.length; length++) {
            Finding finding = ClientHello.look(hello, length);
            assertThat(finding.isTls() && !finding.isComplete())
                    .as("%d bytes", length)
                    .isTrue();
        }
        assertThat(look(hello)).isEqualTo(new Finding(true, true, "www.example.com"));
    }

    @Test
    void theNameIsFoundInRecordsOfAnySize() throws Exception {
        byte[] hello = hello("www.example.com");
        for (int size : new int[] {1, 2, 3, 7, 64, 200}) {
            assertThat(look(inRecords(hello, size)))
                    .as("%d", size)
                    .isEqualTo(new Finding(true, true, "www.example.com"));
        }
    }

    @Test
    void aHelloWithoutANameIsTlsWithoutAName() throws Exception {
        assertThat(look(hello(""))).isEqualTo(new Finding(true, true, ""));
    }

    @Test
    void aHelloOf16MebibytesIsNotWaitedFor() {
        byte[] bytes = {22, 3, 1, 0x40, 0, 1, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, 3, 3};
        assertThat(look(bytes)).isEqualTo(new Finding(true, true, ""));
    }

    @Test
    void otherBytesAreNoTls() {
        assertThat(look("GET / HTTP/1.1\r\n".getBytes()).isTls()).isFalse();
        assertThat(look(new byte[] {22, 4, 1}).isTls()).isFalse();
        assertThat(look(new byte[] {22, 3, 1, 0, 0}).isTls()).isFalse();
        assertThat(look(new byte[] {22, 3, 1, (byte) 0xFF, (byte) 0xFF}).isTls())
                .isFalse();
        assertThat(look(new byte[] {22, 3, 1, 0, 4, 2, 0, 0, 0}).isTls()).isFalse();
    }

    @Test
    void damagedHellosHaveNoNameOrAnother() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        byte[] hello = hello("www.example.com");
        for (int round = 0; round < 20_000; round++) {
            byte[] damaged = hello.clone();
            for (int i = 1 + random.nextInt(4); i > 0; i--) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
            }
            Finding finding = ClientHello.look(damaged, random.nextInt(damaged.length + 1));
            assertThat(finding.name().length()).as("seed %d", seed).isLessThan(hello.length);
        }
    }
}
