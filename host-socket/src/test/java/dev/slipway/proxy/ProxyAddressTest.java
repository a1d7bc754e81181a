package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.proxy.ProxyAddress.Scheme;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ProxyAddressTest {

    @Test
    void allPartsOfAUrlAreRead() {
        ProxyAddress proxy = ProxyAddress.parse("https://j%40ne:p%3Ass+w%25rd@Proxy.Corp.example:8443/");
        assertThat(proxy).isEqualTo(new ProxyAddress(Scheme.HTTPS, "proxy.corp.example", 8443, "j@ne", "p:ss+w%rd"));
        assertThat(proxy.authorization()).isEqualTo("Basic akBuZTpwOnNzK3clcmQ=");
    }

    @Test
    void vpnkitsFormWithoutASchemeIsHttp() {
        assertThat(ProxyAddress.parse("10.0.0.1:3128"))
                .isEqualTo(new ProxyAddress(Scheme.HTTP, "10.0.0.1", 3128, "", ""));
    }

    @Test
    void socksHasItsOwnPort() {
        assertThat(ProxyAddress.parse("socks5h://proxy").port()).isEqualTo(1080);
        assertThat(ProxyAddress.parse("socks5://[fd00::1]:9050").host()).isEqualTo("fd00::1");
    }

    @Test
    void itsTextHasNoCredentials() {
        assertThat(ProxyAddress.parse("http://corp:secret@198.18.0.1:8888")).hasToString("http://***@198.18.0.1:8888");
        assertThat(ProxyAddress.parse("http://198.18.0.1:8888")).hasToString("http://198.18.0.1:8888");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ftp://corp:secret@host:1",
                "http://corp:secret@host:0",
                "http://corp:secret@host:99999",
                "http://corp:secret@host:port",
                "http://corp:secret@",
                "http://corp:secret@ho st:1",
                "http://corp:sec%0d%0aret@host:1",
                "http://corp:secret%z@host:1",
                "http://corp:secret@[::g]:1",
                "http://corp:secret@999.1.1.1:1"
            })
    void whatIsNoneIsRefusedWithoutRepeatingThePassword(String url) {
        assertThatThrownBy(() -> ProxyAddress.parse(url))
                .isInstanceOf(IllegalArgumentException.class)
                .message()
                .doesNotContain("secret")
                .doesNotContain("corp");
    }
}
