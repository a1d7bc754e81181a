package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.SettingSource.Value;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PublishedPortTest {

    private static PublishedPort parse(String text) throws SettingsException {
        return PublishedPort.parse(new Value("--publish", text));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "8000:80 | 127.0.0.1:8000:80",
                "127.0.0.1:17000:7000 | 127.0.0.1:17000:7000",
                "0.0.0.0:53:53/udp | 0.0.0.0:53:53/udp",
                "53:53/tcp | 127.0.0.1:53:53",
                "[::1]:8000:80 | [::1]:8000:80",
                "8000-8010:80-90 | 127.0.0.1:8000-8010:80-90",
                "8000:80@192.168.65.4 | 127.0.0.1:8000:80@192.168.65.4",
                "1-65535:1-65535/UDP@web-1.test | 127.0.0.1:1-65535:1-65535/udp@web-1.test"
            })
    void whatIsMeantIsUnderstood(String text, String meaning) throws SettingsException {
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
                "0:80",
                "80:0",
                "65536:80",
                "-1:80",
                "80 :80",
                "a:b",
                "80:80/sctp",
                "80:80/",
                "80:80@",
                "80:80@-x",
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
                .isInstanceOf(SettingsException.class)
                .hasMessageStartingWith("--publish: ")
                .hasMessageContaining("'" + text + "'");
    }

    @Test
    void twoPortsOnOnePortOfTheHostClash() throws SettingsException {
        assertThat(parse("80:1").clashesWith(parse("80:2"))).isTrue();
        assertThat(parse("80-90:1-11").clashesWith(parse("85:2"))).isTrue();
        assertThat(parse("0.0.0.0:80:1").clashesWith(parse("80:2"))).isTrue();
        assertThat(parse("80:1").clashesWith(parse("80:2/udp"))).isFalse();
        assertThat(parse("127.0.0.2:80:1").clashesWith(parse("80:2"))).isFalse();
        assertThat(parse("80-90:1-11").clashesWith(parse("91:2"))).isFalse();
    }

    @Test
    void withSeveralVmsAPortNamesItsOwn() {
        SettingSource source = new SettingSource();
        source.put("vm", List.of(new Value("--vm", "qemu:/a"), new Value("--vm", "qemu:/b")));
        source.put("publish", List.of(new Value("--publish", "80:80")));
        assertThatThrownBy(() -> Settings.from(source)).hasMessageContaining("'80:80' names no VM, but there are 2");
    }
}
