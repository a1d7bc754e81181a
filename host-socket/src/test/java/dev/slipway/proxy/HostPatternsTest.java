package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class HostPatternsTest {

    @ParameterizedTest
    @CsvSource({
        "example.com, example.com, true",
        "example.com, WWW.Example.COM., true",
        "example.com, myexample.com, false",
        "example.com, example.com.evil, false",
        ".example.com, a.b.example.com, true",
        ".example.com, example.com, false",
        "*.example.com, www.example.com, true",
        "*.example.com, example.com, false",
        "www*.example.com, www7.example.com, true",
        "www*.example.com, web.example.com, false",
        "a.*.com, a.b.com, true",
        "a.*.com, a.b.c.com, false",
        "*, anything.at.all, true",
        "*, 10.1.2.3, true",
        "10.1.2.3, 10.1.2.3, true",
        "10.1.2.3, 10.1.2.4, false",
        "10.0.0.0/8, 10.255.0.1, true",
        "10.0.0.0/8, 11.0.0.1, false",
        "0.0.0.0/0, 203.0.113.9, true",
        "10.0.0.0/8, fd00::1, false",
        "fd00::/8, fdff::9, true",
        "fd00::/8, fe00::9, false",
        "::/0, 10.0.0.1, false",
        "[fd00::1], fd00::1, true",
        "example.com:8080, example.com:8080, true",
        "example.com:8080, example.com:80, false",
        "[fd00::1]:443, [fd00::1]:443, true",
        "'a.com b.com,c.com', c.com, true",
    })
    void patternsMatchAsTheyShould(String patterns, String host, boolean expected) {
        int colon = host.lastIndexOf(':');
        boolean withPort = colon > 0 && (host.startsWith("[") || host.indexOf(':') == colon);
        Target target = Target.of(
                        withPort ? host.substring(0, colon) : host,
                        withPort ? Integer.parseInt(host.substring(colon + 1)) : 80)
                .orElseThrow();
        assertThat(HostPatterns.parse(patterns).matches(target)).isEqualTo(expected);
    }

    @Test
    void nameAndAddressOfOneDestinationEachDo() {
        Target both = Target.of("203.0.113.9", 443).orElseThrow().named("www.example.com");
        assertThat(HostPatterns.parse("203.0.113.0/24").matches(both)).isTrue();
        assertThat(HostPatterns.parse("example.com").matches(both)).isTrue();
        assertThat(HostPatterns.parse("example.org").matches(both)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"10.0.0.0/33", "fd00::/129", "name/8", "a..b", "exa mple/", "host:0", "host:x", "10.0.0.1.5/8"})
    void whatIsNoneIsRefused(String pattern) {
        assertThatThrownBy(() -> HostPatterns.parse(pattern)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void anEmptyListMatchesNothing() {
        assertThat(HostPatterns.parse(" , ").isEmpty()).isTrue();
        assertThat(HostPatterns.NONE.matches(Target.of("a", 1).orElseThrow())).isFalse();
    }
}
