package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.ethernet.InheritedSocket.Kind;
import dev.slipway.posix.PassedDescriptors;
import dev.slipway.posix.Sockets;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class InheritedSocketTest {

    private Sockets sockets;

    @BeforeEach
    void needLinux() {
        assumeTrue(Transport.NATIVE.isAvailable(), "Linux on x86-64 or aarch64");
        sockets = new Sockets();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "0", "1", "2", "-3", "three", "3 ", "1048577", "99999999999"})
    void whatIsNoNumberOfADescriptorIsRefused(String text) {
        assertThatThrownBy(() -> InheritedSocket.parse(text)).hasMessageContaining("3 or more");
    }

    @Test
    void descriptorThatIsNotOpenIsRefused() {
        int fd = sockets.open(Sockets.AF_UNIX, Sockets.SOCK_STREAM);
        sockets.close(fd);
        assertThatThrownBy(() -> look(fd))
                .isInstanceOf(SocketPathException.class)
                .hasMessageContaining("no socket");
    }

    @Test
    void pairsAreToldByTheirType() throws Exception {
        int[][] pairs = {
            PassedDescriptors.pair(Sockets.SOCK_STREAM),
            PassedDescriptors.pair(Sockets.SOCK_DGRAM),
            PassedDescriptors.pair(Sockets.SOCK_SEQPACKET)
        };
        Kind[] kinds = {Kind.STREAM, Kind.DATAGRAMS, Kind.PACKETS};
        for (int i = 0; i < pairs.length; i++) {
            assertThat(look(pairs[i][0])).isEqualTo(new InheritedSocket(pairs[i][0], kinds[i], false, true));
            sockets.close(pairs[i][0]);
            sockets.close(pairs[i][1]);
        }
    }

    @Test
    void socketThatCannotCarryFramesIsRefused() {
        int udp = sockets.open(Sockets.AF_INET, Sockets.SOCK_DGRAM);
        assertThatThrownBy(() -> look(udp))
                .isInstanceOf(SocketPathException.class)
                .hasMessageContaining("it can be");
        sockets.close(udp);
    }

    @Test
    void otherTransportsSayWhatTheyLack() {
        assertThatThrownBy(() -> InheritedSocket.look(3, "fd:3", Transport.NIO))
                .hasMessageContaining("fd:3: inherited descriptors need Linux")
                .hasMessageContaining("not nio");
    }

    private static InheritedSocket look(int fd) throws SocketPathException {
        return InheritedSocket.look(fd, "fd:" + fd, Transport.NATIVE);
    }
}
