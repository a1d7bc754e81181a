package dev.slipway;

import dev.slipway.probe.Probe;
import dev.slipway.probe.Report;
import dev.slipway.seam.StackSettings;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParseResult;

/** {@code slipway probe}: a guest on anybody's frame socket. */
final class ProbeCommand implements Command {

    private static final int DEFAULT_MTU = 1500;
    private static final long MAX_UPLOAD = 1L << 40;

    @Override
    public CommandSpec spec() {
        CommandSpec spec = CommandSpec.create().name("slipway probe");
        spec.usageMessage()
                .customSynopsis("slipway probe SOCKET [URL] [OPTIONS]")
                .description(
                        "Acts as a VM on a frame socket in QEMU's stream framing, Slipway's or another backend's: gets"
                                + " an address by DHCP, finds the gateway, pings it, resolves names and, given a URL,"
                                + " fetches it. Prints each step with its outcome, time and rate. 'no' marks what a"
                                + " backend need not offer.%n")
                .footer(
                        "",
                        "Exit codes: 0 every step that must work did, 1 one did not, 2 wrong usage.",
                        "Example: slipway probe /tmp/vm.sock http://host.docker.internal:8000/");
        spec.addPositional(PositionalParamSpec.builder()
                .index("0")
                .paramLabel("SOCKET")
                .required(true)
                .type(String.class)
                .description("The Unix socket that a backend listens on")
                .build());
        spec.addPositional(PositionalParamSpec.builder()
                .index("1")
                .paramLabel("URL")
                .required(false)
                .type(String.class)
                .description("What to fetch, http:// only. Default: nothing")
                .build());
        spec.addOption(text("--upload", "BYTES", "Also sends as many bytes to the URL by POST. Default: 0"));
        spec.addOption(
                text("--mtu", "BYTES", "The guest's MTU is the lease's, but at most this. Default: " + DEFAULT_MTU));
        spec.addOption(OptionSpec.builder("--strict")
                .type(boolean.class)
                .description("Every step must work, those too that some backends do not offer")
                .build());
        return spec;
    }

    private static OptionSpec text(String name, String label, String description) {
        return OptionSpec.builder(name)
                .paramLabel(label)
                .type(String.class)
                .description(description)
                .build();
    }

    @Override
    public int run(ParseResult parsed, PrintStream out, PrintStream err) throws SettingsException {
        String socket = parsed.matchedPositionalValue(0, "");
        URI url = parsed.hasMatchedPositional(1) ? url(parsed.matchedPositionalValue(1, "")) : null;
        long upload = number(parsed, "--upload", 0, 0, MAX_UPLOAD);
        int mtu = (int) number(parsed, "--mtu", DEFAULT_MTU, StackSettings.MIN_MTU, StackSettings.MAX_MTU);
        if (upload > 0 && url == null) {
            throw new SettingsException("--upload", "needs a URL to send to");
        }
        Path path;
        try {
            path = Path.of(socket);
        } catch (InvalidPathException e) {
            throw new SettingsException("SOCKET", "not a path: " + e.getReason());
        }
        Report report = new Report(out);
        boolean strict = parsed.matchedOptionValue("--strict", false);
        try (Probe probe = Probe.attach(path, mtu)) {
            out.println("A guest on " + socket);
            probe.run(report, url, upload, strict);
        } catch (IOException e) {
            err.println("slipway: " + e.getMessage());
            return FAILED;
        }
        report.summary();
        return report.isPassed() ? DONE : FAILED;
    }

    private static long number(ParseResult parsed, String option, long otherwise, long min, long max)
            throws SettingsException {
        String text = parsed.matchedOptionValue(option, Long.toString(otherwise));
        if (!text.matches("-?[0-9]{1,18}")) {
            throw new SettingsException(option, "'" + text + "' is not a whole number");
        }
        long number = Long.parseLong(text);
        if (number < min || number > max) {
            throw new SettingsException(option, number + " is out of range, it must be " + min + " to " + max);
        }
        return number;
    }

    private static URI url(String text) throws SettingsException {
        try {
            URI url = new URI(text);
            if (!"http".equalsIgnoreCase(url.getScheme()) || url.getHost() == null || url.getRawUserInfo() != null) {
                throw new SettingsException(
                        "URL", "'" + text + "' is not like http://host/path, all that the built-in guest speaks");
            }
            if (url.getPort() == 0 || url.getPort() > 65_535) {
                throw new SettingsException("URL", "'" + text + "' has no possible port");
            }
            return url;
        } catch (URISyntaxException e) {
            throw new SettingsException("URL", "'" + text + "': " + e.getReason());
        }
    }
}
