package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.channel.ReflectiveChannelFactory;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class TransportTest {

    private final String before = System.getProperty(Transport.PROPERTY);

    @AfterEach
    void restore() {
        if (before == null) {
            System.clearProperty(Transport.PROPERTY);
        } else {
            System.setProperty(Transport.PROPERTY, before);
        }
    }

    static Stream<Transport> available() {
        return Stream.of(Transport.values()).filter(Transport::isAvailable);
    }

    @Test
    void theBestIsTheOneThatWasAskedForOrThePlatformsOwn() {
        System.setProperty(Transport.PROPERTY, "nio");
        assertThat(Transport.best()).isEqualTo(Transport.NIO);
        System.clearProperty(Transport.PROPERTY);
        String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        if (system.contains("linux")) {
            assertThat(Transport.best()).isIn(Transport.NATIVE, Transport.EPOLL);
        }
    }

    @Test
    void oneThatIsNotThereIsRefusedByName() {
        System.setProperty(Transport.PROPERTY, "iocp");
        assertThatThrownBy(Transport::best)
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("slipway.transport=iocp: must be nio, epoll, kqueue or native");
        String missing = Transport.EPOLL.isAvailable() ? "kqueue" : "epoll";
        System.setProperty(Transport.PROPERTY, missing);
        assertThatThrownBy(Transport::best).hasMessageEndingWith(missing + ": not available on this platform");
    }

    @ParameterizedTest
    @MethodSource("available")
    void everyChannelOfATransportCanBeMade(Transport transport) {
        assertThat(transport.ioHandlerFactory()).isNotNull();
        Stream.of(
                        transport.unixServerChannel(),
                        transport.unixChannel(),
                        transport.tcpServerChannel(),
                        transport.tcpChannel(),
                        transport.datagramChannel())
                .map(type -> new ReflectiveChannelFactory<>(type).newChannel())
                .forEach(channel -> channel.unsafe().closeForcibly());
    }
}
