package dev.slipway;

import dev.slipway.egress.EgressPolicy;
import dev.slipway.probe.Pattern;
import dev.slipway.probe.Probe;
import dev.slipway.probe.Report;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/**
 * {@code slipway demo}: a real network on a real socket, the built-in guest on the other end of it, and a web server on
 * the host's localhost to talk to.
 */
final class DemoCommand implements Command {

    private static final double DEFAULT_SECONDS = 3;
    private static final double QUICK_SECONDS = 0.2;
    private static final double MAX_SECONDS = 60;
    private static final String HOST_NAME = "host.docker.internal";

    @Override
    public CommandSpec spec() {
        CommandSpec spec = CommandSpec.create().name("slipway demo");
        spec.usageMessage()
                .customSynopsis("slipway demo [--seconds=N | --quick]")
                .description("Shows the whole of it on this machine, without a VM, root or another program: starts a"
                        + " network on a private socket, attaches the built-in guest to it, and does what a VM"
                        + " does: DHCP, ARP, ping, DNS, a web page from this machine's localhost, a download and"
                        + " an upload compared byte by byte.%n")
                .footer("", "Exit codes: 0 everything worked, 1 something did not, 2 wrong usage.");
        spec.addOption(OptionSpec.builder("--seconds")
                .paramLabel("N")
                .type(String.class)
                .description("How long the download and the upload take each, 0.1 to 60. Default: 3")
                .build());
        spec.addOption(OptionSpec.builder("--quick")
                .type(boolean.class)
                .description("Download and upload take " + QUICK_SECONDS + " seconds each")
                .build());
        return spec;
    }

    @Override
    public int run(ParseResult parsed, PrintStream out, PrintStream err) throws SettingsException {
        double seconds = seconds(parsed);
        Logging.configure("warn");
        Path folder = null;
        try {
            folder = Files.createTempDirectory(
                    "slipway", PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            return demonstrate(folder.resolve("vm.sock"), seconds, out);
        } catch (IOException e) {
            err.println("slipway: the demo cannot start: " + e.getMessage());
            return FAILED;
        } finally {
            remove(folder);
        }
    }

    private static double seconds(ParseResult parsed) throws SettingsException {
        boolean quick = parsed.matchedOptionValue("--quick", false);
        String text = parsed.matchedOptionValue("--seconds", "");
        if (text.isEmpty()) {
            return quick ? QUICK_SECONDS : DEFAULT_SECONDS;
        }
        if (quick) {
            throw new SettingsException("--seconds", "cannot go with --quick");
        }
        if (!text.matches("[0-9]{1,4}(\\.[0-9]{1,3})?")) {
            throw new SettingsException("--seconds", "'" + text + "' is not a number");
        }
        double seconds = Double.parseDouble(text);
        if (seconds < 0.1 || seconds > MAX_SECONDS) {
            throw new SettingsException("--seconds", text + " is out of range, it must be 0.1 to 60");
        }
        return seconds;
    }

    private static int demonstrate(Path socket, double seconds, PrintStream out) throws IOException, SettingsException {
        Settings settings = Settings.from(demoSettings(socket));
        Report report = new Report(out);
        Pattern pattern = new Pattern(System.nanoTime());
        out.println("Slipway " + Main.version() + ": a network on a private socket, and a guest that uses it");
        try (DemoServer server = new DemoServer(pattern);
                RunningNetwork network = RunningNetwork.start(settings, EgressPolicy.OPEN);
                Probe probe = Probe.attach(socket, 65_520)) {
            URI url = URI.create("http://" + HOST_NAME + ":" + server.port() + "/");
            if (report.must("DHCP lease", probe::acquireLease)) {
                report.must("ARP of the gateway", probe::resolveGateway);
                report.must("ping the gateway", probe::pingGateway);
                report.must("DNS gateway name", () -> probe.lookUp("gateway.docker.internal"));
                if (report.must("DNS " + HOST_NAME, () -> probe.lookUp(HOST_NAME))) {
                    report.must("web page of this host", () -> probe.fetchText(url.resolve("hello"), DemoServer.HELLO));
                    report.must("download", () -> download(probe, server, url, pattern, seconds));
                    report.must("upload", () -> upload(probe, url, pattern, seconds));
                }
                report.must("frames well formed", probe::checkFrames);
                report.must("nothing dropped", () -> checkDrops(network));
            }
        }
        report.summary();
        if (report.isPassed()) {
            explain(out);
        }
        return report.isPassed() ? DONE : FAILED;
    }

    private static SettingSource demoSettings(Path socket) {
        SettingSource source = new SettingSource();
        source.put(SettingKey.VM.key(), List.of(new SettingSource.Value("--vm", "qemu:" + socket)));
        return source;
    }

    private static String download(Probe probe, DemoServer server, URI url, Pattern pattern, double seconds)
            throws IOException {
        StringBuilder seen = new StringBuilder();
        long millis = Math.round(seconds * 1000);
        long bytes = probe.download(url.resolve("download/" + millis), pattern, seen, (millis + 30_000) * 1_000_000);
        if (bytes != server.streamed()) {
            throw new IOException(bytes + " bytes came of " + server.streamed());
        }
        return seen + ", every byte compared";
    }

    private static String upload(Probe probe, URI url, Pattern pattern, double seconds) throws IOException {
        StringBuilder seen = new StringBuilder();
        StringBuilder answer = new StringBuilder();
        long bytes = probe.upload(url.resolve("upload"), pattern, Math.round(seconds * 1e9), seen, answer);
        if (!answer.toString().equals(bytes + " bytes, all right\n")) {
            throw new IOException(
                    "of " + bytes + " bytes the server got " + answer.toString().strip());
        }
        return seen + ", every byte compared";
    }

    private static String checkDrops(RunningNetwork network) throws IOException {
        var drops = network.status().getFirst().drops();
        if (!drops.isEmpty()) {
            throw new IOException("dropped: " + drops);
        }
        return "every frame of the guest was served";
    }

    private static void explain(PrintStream out) {
        out.println("""

              That was a guest's whole way into the network: frames over a Unix socket into Slipway, out of it as
              ordinary sockets of this process. Now with a real VM:

                ./slipway run --vm qemu:/tmp/vm.sock
                qemu-system-x86_64 -m 1G -drive file=disk.img,if=virtio -device virtio-net,netdev=n0 \\
                    -netdev stream,id=n0,server=off,addr.type=unix,addr.path=/tmp/vm.sock
            """);
    }

    private static void remove(Path folder) {
        if (folder != null) {
            try {
                Files.deleteIfExists(folder.resolve("vm.sock"));
                Files.deleteIfExists(folder);
            } catch (IOException e) {
                // An empty private folder in the system's temporary one stays behind.
                return;
            }
        }
    }
}
