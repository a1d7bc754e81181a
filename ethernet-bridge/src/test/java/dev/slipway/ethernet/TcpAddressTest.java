package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TcpAddressTest {

    @ParameterizedTest
    @CsvSource({
        "4000, 127.0.0.1:4000",
        "localhost:4000, 127.0.0.1:4000",
        "127.0.0.2:1, 127.0.0.2:1",
        "0.0.0.0:65535, 0.0.0.0:65535",
        "[::1]:80, [0:0:0:0:0:0:0:1]:80"
    })
    void withoutAHostItIsTheLoopback(String text, String full) {
        assertThat(TcpAddress.toString(TcpAddress.parse(text))).isEqualTo(full);
        assertThat(TcpAddress.parse(full)).isEqualTo(TcpAddress.parse(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ":", "0", "65536", "-1", "80 ", "127.0.0.1:", "127.0.0.1:0", "localhost:99999"})
    void whatIsNoPortIsRefused(String text) {
        assertThatThrownBy(() -> TcpAddress.parse(text)).hasMessageContaining("a port of 1 to 65535");
    }

    @ParameterizedTest
    @ValueSource(strings = {":80", "example.com:80", "::1:80", "1.2.3:80", "[127.0.0.1:80", "[]:80"})
    void whatIsNoAddressIsRefused(String text) {
        assertThatThrownBy(() -> TcpAddress.parse(text)).hasMessageContaining("is not an IP address");
    }
}
