package dev.slipway;

import dev.slipway.SettingSource.Value;
import dev.slipway.control.ControlApi;
import dev.slipway.control.ControlCounters;
import dev.slipway.control.ControlServer;
import dev.slipway.control.GuestPublishing;
import dev.slipway.control.GvproxyApi;
import dev.slipway.control.Notifications;
import dev.slipway.control.ProxyApi;
import dev.slipway.control.SlipwayApi;
import dev.slipway.control.Status;
import dev.slipway.engine.EngineWatcher;
import dev.slipway.ethernet.ChannelScheme;
import dev.slipway.ethernet.SocketPathException;
import dev.slipway.ethernet.Transport;
import dev.slipway.event.Event;
import dev.slipway.host.VmNetwork;
import dev.slipway.host.VmSession;
import dev.slipway.publish.PortRange;
import dev.slipway.publish.PublishException;
import dev.slipway.publish.PublishedPorts;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/** {@code slipway run}: serves networks until it is stopped. */
final class RunCommand implements Command {

    private static final String CONFIG = "--config";

    @Override
    public CommandSpec spec() {
        CommandSpec spec = CommandSpec.create().name("slipway run");
        spec.usageMessage()
                .customSynopsis("slipway run --vm=SCHEME:PATH [OPTIONS]")
                .description(
                        "Serves the network of one or more VMs until it is stopped. It prints one line that begins with"
                                + " 'ready:' to stdout when VMs can attach; the log goes to stderr.%n")
                .footer(
                        "",
                        "In a file the same keys stand without hyphens in front, and flags win over it:",
                        "  vm: [qemu:/tmp/vm.sock]",
                        "  mtu: 1500",
                        "  no-host-access: true",
                        "",
                        "Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong flags or settings.",
                        "Example: slipway run --vm qemu:/tmp/vm.sock",
                        "         qemu-system-x86_64 ... -device virtio-net,netdev=n0 \\",
                        "             -netdev stream,id=n0,server=off,addr.type=unix,addr.path=/tmp/vm.sock");
        spec.addOption(OptionSpec.builder(CONFIG)
                .paramLabel("FILE")
                .type(String.class)
                .description("Reads settings from a YAML file. Default: none")
                .build());
        for (SettingKey key : SettingKey.values()) {
            spec.addOption(option(key));
        }
        return spec;
    }

    static OptionSpec option(SettingKey key) {
        OptionSpec.Builder option =
                key == SettingKey.PUBLISH ? OptionSpec.builder("-p", key.flag()) : OptionSpec.builder(key.flag());
        option.description(key.help().replace("%", "%%")).hidden(key.kind() == SettingKey.Kind.HIDDEN);
        return switch (key.kind()) {
            case ONE, HIDDEN ->
                option.type(String.class).paramLabel(key.label()).build();
            case LIST ->
                option.type(List.class)
                        .auxiliaryTypes(String.class)
                        .arity("1")
                        .paramLabel(key.label())
                        .build();
            case SWITCH -> option.type(boolean.class).build();
        };
    }

    @Override
    public int run(ParseResult parsed, PrintStream out, PrintStream err) throws SettingsException {
        hideCredentials(parsed);
        List<Path> files = new ArrayList<>();
        if (parsed.hasMatchedOption(CONFIG)) {
            files.add(Path.of(parsed.matchedOptionValue(CONFIG, "")));
        }
        return run(() -> source(parsed), files, List.of(), out, err);
    }

    /** What the settings are, at the start and whenever a file of theirs has changed. */
    interface Source {
        SettingSource read() throws SettingsException;
    }

    /**
     * Serves until it is stopped, or until every channel is over.
     *
     * @param sources of the settings
     * @param files that they are read from, beside those that they name
     * @param moreApis sockets of the control API beside the settings' own
     */
    static int run(Source sources, List<Path> files, List<Path> moreApis, PrintStream out, PrintStream err)
            throws SettingsException {
        // What reads the settings may touch classes that have a log of their own.
        Logging.form();
        SettingSource source = sources.read();
        Settings settings = Settings.from(source);
        Logging.configure(settings.logLevel());
        // Netty's native part takes longer to come up than all else, and a core is free for it.
        Thread.ofPlatform().daemon().name("prepare-transport").start(Transport.EPOLL::isAvailable);
        Shutdown shutdown = Shutdown.install();
        try {
            RunningNetwork network = RunningNetwork.start(settings, PolicyFile.from(source, settings.vms()));
            shutdown.add(network);
            PolicyReload policy = new PolicyReload(settings.vms(), network::changePolicy);
            // Before anybody knows that it runs: from then on SIGHUP must not stop it.
            shutdown.add(SettingsReload.watch(
                    () -> {
                        SettingSource now = sources.read();
                        policy.read(now);
                        return Settings.from(now).proxies();
                    },
                    settings.proxies(),
                    files(files, source),
                    network::changeProxies));
            boolean stdoutIsAVm = settings.vms().stream().anyMatch(vm -> vm.scheme() == ChannelScheme.STDIO);
            List<Path> sockets = new ArrayList<>(settings.api().stream().toList());
            sockets.addAll(moreApis);
            Sandbox sandbox = new Sandbox(settings.sandbox(), settings, files(files, source), sockets);
            serve(network, settings, sockets, sandbox, shutdown, stdoutIsAVm ? err : out);
            sandbox.afterReady(network.network());
            network.network().over().get();
            return DONE;
        } catch (SocketPathException e) {
            shutdown.cancel();
            throw new SettingsException(
                    settings.places().getOrDefault(e.place(), SettingKey.VM.flag()), e.getMessage());
        } catch (SettingsException e) {
            shutdown.cancel();
            throw e;
        } catch (IOException e) {
            shutdown.cancel();
            err.println("slipway: " + e.getMessage());
        } catch (InterruptedException | ExecutionException e) {
            shutdown.cancel();
        }
        return FAILED;
    }

    private static SettingSource source(ParseResult parsed) throws SettingsException {
        SettingSource source = new SettingSource();
        if (parsed.hasMatchedOption(CONFIG)) {
            String file = parsed.matchedOptionValue(CONFIG, "");
            try {
                source = SettingsFile.read(Path.of(file));
            } catch (InvalidPathException e) {
                throw new SettingsException(CONFIG, "not a path: " + e.getReason());
            }
        }
        SettingSource flags = new SettingSource();
        for (SettingKey key : SettingKey.values()) {
            if (parsed.hasMatchedOption(key.flag())) {
                List<Value> values = new ArrayList<>();
                for (String text : parsed.matchedOption(key.flag()).stringValues()) {
                    values.add(new Value(key.flag(), text));
                }
                flags.put(key.key(), values);
            }
        }
        source.override(flags);
        return source;
    }

    /** The files that settings come from. */
    private static List<Path> files(List<Path> own, SettingSource source) throws SettingsException {
        List<Path> files = new ArrayList<>(own);
        ProxyOptions.file(source).ifPresent(files::add);
        ProxyOptions.authorities(source).ifPresent(files::add);
        PolicyFile.file(source).ifPresent(files::add);
        return files;
    }

    /** Other users of the machine see the arguments of every process. */
    private static void hideCredentials(ParseResult parsed) {
        List<String> secrets = new ArrayList<>();
        for (SettingKey key : List.of(SettingKey.HTTP_PROXY, SettingKey.HTTPS_PROXY, SettingKey.ALL_PROXY)) {
            if (parsed.hasMatchedOption(key.flag())) {
                secrets.add(ProcessArguments.credentials(parsed.matchedOptionValue(key.flag(), "")));
            }
        }
        secrets.removeIf(String::isEmpty);
        if (!secrets.isEmpty()) {
            ProcessArguments.hide(secrets);
        }
    }

    private static void serve(
            RunningNetwork network,
            Settings settings,
            List<Path> sockets,
            Sandbox sandbox,
            Shutdown shutdown,
            PrintStream out)
            throws IOException {
        long readyAt = System.nanoTime();
        Logger log = LoggerFactory.getLogger(RunCommand.class);
        PublishedPorts ports = publish(settings, network, shutdown);
        if (settings.guestApi()) {
            for (VmSession session : network.network().sessions()) {
                session.serveGuest(
                        new GuestPublishing(session, ports, network.network().controlLoop()));
            }
        }
        if (!sockets.isEmpty()) {
            Supplier<Status> status = () -> new Status(
                    Main.version(),
                    (System.nanoTime() - readyAt) / 1_000_000,
                    sandbox.state(),
                    network.status(),
                    network.limitations());
            ControlCounters counters = new ControlCounters();
            List<ControlApi> apis = List.of(
                    new SlipwayApi(
                            status, ports, network.network(), network.network().events(), counters),
                    new ProxyApi(network::proxies, network::changeProxies),
                    new GvproxyApi(ports, network.network(), settings.stack(), counters));
            for (Path socket : sockets) {
                shutdown.add(ControlServer.listen(
                        socket, network.network().controlLoop(), network.transport(), apis, counters));
            }
        }
        if (settings.docker().isPresent()) {
            shutdown.add(EngineWatcher.watch(
                    settings.docker().get(),
                    network.network().controlLoop(),
                    network.transport(),
                    ports,
                    network.network().events()));
        }
        String vms = settings.vms().stream().map(Object::toString).collect(Collectors.joining(" "));
        if (settings.notification().isPresent()) {
            shutdown.add(Notifications.begin(
                    settings.notification().get(), network.network().events()));
        }
        sandbox.beforeReady(network.network());
        network.network().events().tell(Event.Kind.READY, Map.of());
        out.println("ready: " + vms + sockets.stream().map(api -> " api:" + api).collect(Collectors.joining()));
        out.flush();
        warnOfOverlaps(settings, log);
    }

    /** Publishes what the settings name; that is also what others publish by. */
    private static PublishedPorts publish(Settings settings, RunningNetwork network, Shutdown shutdown)
            throws IOException {
        VmNetwork vms = network.network();
        PublishedPorts ports = new PublishedPorts(
                vms.controlLoop(),
                network.transport(),
                vms::sessions,
                vms.leases()::addressOf,
                settings.publishAddress(),
                settings.preserveSource(),
                vms.events());
        shutdown.add(ports);
        for (PortRange range : settings.published()) {
            try {
                ports.publish(range.requests(), "settings");
            } catch (PublishException e) {
                throw new IOException(SettingKey.PUBLISH.flag() + " " + range + ": " + e.getMessage(), e);
            }
        }
        return ports;
    }

    private static void warnOfOverlaps(Settings settings, Logger log) {
        long prefix = settings.stack().ipv6().prefix();
        if (settings.stack().ipv6().enabled() && prefix != Ipv6Settings.DEFAULTS.prefix()) {
            log.warn(
                    "the host has a network of {}/64: the guests' is {}/64",
                    new IpAddress(Ipv6Settings.DEFAULTS.prefix(), 0),
                    new IpAddress(prefix, 0));
        }
        for (String overlap : SubnetOverlap.find(settings.stack())) {
            log.warn(
                    "the guest's network {} overlaps the host's {}: guests cannot reach hosts there; choose another"
                            + " with --subnet",
                    Settings.cidr(settings.stack()),
                    overlap);
        }
    }
}
