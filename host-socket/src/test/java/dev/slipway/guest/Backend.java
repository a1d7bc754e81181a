package dev.slipway.guest;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Who answers on the frame socket: Slipway, or a peer, so that one knows that a test asks for nothing unfair.
 *
 * <p>{@code -Dslipway.guest.backend=passt} or {@code gvproxy} chooses a peer; {@code -Dslipway.guest.peer=COMMAND} is a
 * program put before the peer's command line. {@code -Dslipway.guest.launcher=COMMAND} runs Slipway by its launcher
 * rather than from this build's classes.
 */
enum Backend {
    SLIPWAY("192.168.65.") {
        @Override
        List<String> command(Path socket) {
            List<String> words = new ArrayList<>();
            String launcher = System.getProperty("slipway.guest.launcher");
            if (launcher != null) {
                words.add(launcher);
            } else {
                words.add(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString());
                words.addAll(List.of("-XX:+UseSerialGC", "-Xmx64m", "-XX:MaxDirectMemorySize=64m"));
                words.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Dio.netty.leakDetection.level=paranoid"));
                words.addAll(List.of("-cp", classPath(), "dev.slipway.Main"));
            }
            words.addAll(List.of("run", "--vm", "qemu:" + socket));
            return words;
        }
    },
    PASST("192.168.65.") {
        @Override
        List<String> command(Path socket) {
            List<String> words = peer("passt");
            words.addAll(List.of("-f", "-s", socket.toString(), "-a", "192.168.65.3", "-n", "24", "-m", "1500"));
            words.addAll(List.of("-g", gateway(), "--map-host-loopback", host(), "--dns-forward", gateway()));
            return words;
        }
    },
    GVPROXY("192.168.127.") {
        @Override
        List<String> command(Path socket) {
            List<String> words = peer("gvproxy");
            words.addAll(List.of("-ssh-port", "-1", "-listen-qemu", "unix://" + socket));
            words.addAll(List.of("-listen", "unix://" + socket + ".api"));
            return words;
        }
    };

    private final String subnet;

    Backend(String subnet) {
        this.subnet = subnet;
    }

    /** The backend under test. */
    static Backend chosen() {
        return valueOf(System.getProperty("slipway.guest.backend", "slipway").toUpperCase(Locale.ROOT));
    }

    /** The command line that listens for a guest on a socket. */
    abstract List<String> command(Path socket);

    /** The address of the guest's router and name server. */
    String gateway() {
        return subnet + "1";
    }

    /** The address that stands for the host's localhost. */
    String host() {
        return subnet + "254";
    }

    /** The beginning of all addresses of the guest's network. */
    String subnet() {
        return subnet;
    }

    private static List<String> peer(String program) {
        List<String> words = new ArrayList<>();
        String launcher = System.getProperty("slipway.guest.peer");
        if (launcher != null) {
            words.add(launcher);
        }
        words.add(program);
        return words;
    }

    /** The class path of these tests, for a JVM of its own. */
    static String classPath() {
        return System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    }
}
