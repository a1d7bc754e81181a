package dev.slipway.publish;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PortRangeTest {

    private static PortRange parse(String text) {
        return PortRange.parse(text);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "8000:80 | 8000:80",
                "0:80 | 0:80",
                "/run/d.sock:2375 | /run/d.sock:2375",
                "./d.sock:2375@db | ./d.sock:2375@db",
                "127.0.0.1:17000:7000 | 127.0.0.1:17000:7000",
                "0.0.0.0:53:53/udp | 0.0.0.0:53:53/udp",
                "53:53/tcp | 53:53",
                "[::1]:8000:80 | [::1]:8000:80",
                "8000-8010:80-90 | 8000-8010:80-90",
                "8000:80@192.168.65.4 | 8000:80@192.168.65.4",
                "8000:80@fd65::100 | 8000:80@[fd65::100]",
                "[::1]:53:53/udp@[FD65:0::0100] | [::1]:53:53/udp@[fd65::100]",
                "./d.sock:80@[fd65::100] | ./d.sock:80@[fd65::100]",
                "1-65535:1-65535/UDP@web-1.test | 1-65535:1-65535/udp@web-1.test"
            })
    void whatIsMeantIsUnderstood(String text, String meaning) {
        assertThat(parse(text)).hasToString(meaning);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "80",
                ":",
                "80:",
                ":80",
                "0-1:80-81",
                "/run/d.sock",
                "/run/d.sock:0",
                "/run/d.sock:80/udp",
                "80:0",
                "65536:80",
                "-1:80",
                "80 :80",
                "a:b",
                "80:80/sctp",
                "80:80/",
                "80:80@",
                "80:80@-x",
                "80:80@fd65::100%eth0",
                "80:80@[fd65::100",
                "80:80@fd65::100]",
                "80:80@256.1.1.1",
                "80:80@fd65::1::2",
                "1.2.3:80:80",
                "256.1.1.1:80:80",
                "::1:80:80",
                "[::1:80:80",
                "[zz]:80:80",
                "[1.2.3.4:80",
                "localhost:80:80",
                "80-90:80-91",
                "90-80:90-80",
                "80-:80-",
                "1:2:3:4",
                "\u0000:80"
            })
    void whatCannotBeIsRefusedWithTheValue(String text) {
        assertThatThrownBy(() -> parse(text))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("'" + text + "'");
    }

    @Test
    void whereItLeadsIsToldAsItIsWritten() {
        assertThat(parse("8000:80@fd65::100").requests().getFirst().remote()).isEqualTo("[fd65::100]:80");
        assertThat(parse("8000:80@192.168.65.4").requests().getFirst().remote()).isEqualTo("192.168.65.4:80");
        assertThat(parse("8000:80@db").requests().getFirst().remote()).isEqualTo("db:80");
        assertThat(parse("8000:80").requests().getFirst().remote()).isEqualTo("vm:80");
    }

    @Test
    void twoPortsOnOnePortOfTheHostClash() {
        assertThat(parse("80:1").clashesWith(parse("80:2"))).isTrue();
        assertThat(parse("80-90:1-11").clashesWith(parse("85:2"))).isTrue();
        assertThat(parse("127.0.0.1:80:1").clashesWith(parse("80:2"))).isTrue();
        assertThat(parse("0:80").clashesWith(parse("0:80"))).isFalse();
        assertThat(parse("0.0.0.0:80:1").clashesWith(parse("80:2"))).isTrue();
        assertThat(parse("80:1").clashesWith(parse("80:2/udp"))).isFalse();
        assertThat(parse("127.0.0.2:80:1").clashesWith(parse("80:2"))).isFalse();
        assertThat(parse("80-90:1-11").clashesWith(parse("91:2"))).isFalse();
    }
}
