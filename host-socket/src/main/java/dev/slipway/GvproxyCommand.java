package dev.slipway;

import dev.slipway.ForeignFlags.Kind;
import dev.slipway.SettingSource.Value;
import dev.slipway.wire.IpAddress;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * {@code slipway gvproxy …}: takes gvproxy's flags, with its addresses and its way to end. Each flag becomes a setting of
 * {@code run}; one that has no such setting is refused, not passed over.
 */
final class GvproxyCommand {

    private static final Map<String, Kind> FLAGS = new HashMap<>();

    static {
        for (String flag : List.of(
                "config",
                "pcap",
                "mtu",
                "ssh-port",
                "subnet",
                "gatewayIP",
                "deviceIP",
                "hostIP",
                "listen-vpnkit",
                "listen-qemu",
                "listen-bess",
                "listen-stdio",
                "listen-vfkit",
                "pid-file",
                "log-file",
                "services",
                "notification")) {
            FLAGS.put(flag, Kind.ONE);
        }
        for (String flag : List.of("listen", "forward-sock", "forward-dest", "forward-user", "forward-identity")) {
            FLAGS.put(flag, Kind.LIST);
        }
        for (String flag : List.of("debug", "ec2-metadata-access", "version", "help", "h")) {
            FLAGS.put(flag, Kind.SWITCH);
        }
    }

    private static final String HELP = """
        Usage: slipway gvproxy [FLAGS], or a link named gvproxy to slipway

        Supported: -listen unix://PATH (the API; may be repeated; alone, the VM comes by its /connect), -services unix://PATH, -listen-vpnkit unix://PATH,
        -listen-qemu unix://PATH or tcp://ADDRESS:PORT, -listen-bess unixpacket://PATH, -listen-vfkit unixgram://PATH,
        -listen-stdio ANY, -mtu N, -ssh-port N, -subnet CIDR, -gatewayIP, -deviceIP, -hostIP, -pid-file FILE,
        -log-file FILE, -pcap FILE (headers only), -notification unix://PATH, -ec2-metadata-access, -debug, -version,
        -config FILE (YAML, without forwards by SSH).
        Refused: -forward-sock and its like, -listen with tcp:// or vsock://.
        """;

    private static final String DEVICE_MAC = "5a:94:ef:e4:0c:ee";
    static final String DEFAULT_SUBNET = "192.168.127.0/24";
    private static final int DEFAULT_SSH_PORT = 2222;
    static final String NO_SSH =
            "there is no SSH client here; -ssh-port, or a forward to port 22, leads to the VM's SSH" + " server";

    private GvproxyCommand() {}

    static int run(String[] args, PrintStream out, PrintStream err) throws SettingsException {
        ForeignFlags flags = parse(args);
        if (flags.isOn("version")) {
            out.println("gvproxy version slipway-" + Main.version());
            return Command.DONE;
        }
        if (flags.isOn("help") || flags.isOn("h")) {
            out.print(HELP);
            return Command.DONE;
        }
        SettingSource source = settings(flags);
        List<Path> apis = new ArrayList<>();
        for (Value listen : flags.all("listen")) {
            apis.add(path(listen, "unix"));
        }
        for (Value services : flags.all("services")) {
            apis.add(path(services, "unix"));
        }
        if (!flags.all("pcap").isEmpty()) {
            err.println("gvproxy: -pcap: the first 128 bytes of each frame are kept");
        }
        String log = flags.text("log-file", "");
        PrintStream told = err;
        if (!log.isEmpty()) {
            told = redirect(flags.value("log-file", log));
        }
        try (PidFile ignored = PidFile.write(flags.all("pid-file"))) {
            return RunCommand.run(() -> source, List.of(), apis, out, told);
        }
    }

    static ForeignFlags parse(String... args) throws SettingsException {
        return ForeignFlags.parse(args, "-", FLAGS);
    }

    /** The settings of {@code run} that the flags mean. */
    static SettingSource settings(ForeignFlags flags) throws SettingsException {
        boolean hasFile = !flags.all("config").isEmpty();
        for (String flag : List.of("forward-sock", "forward-dest", "forward-user", "forward-identity")) {
            flags.refuse(flag, NO_SSH);
        }
        SettingSource source = new SettingSource();
        if (hasFile) {
            for (String flag : List.of("pcap", "ssh-port")) {
                for (Value value : flags.all(flag)) {
                    throw value.wrong("cannot be used together with -config, which can say the same");
                }
            }
            source = GvproxyFile.read(flags.all("config").getLast(), flags);
        }
        vms(flags, source);
        String subnet = flags.text("subnet", DEFAULT_SUBNET);
        put(source, SettingKey.SUBNET, flags.valueOr("subnet", DEFAULT_SUBNET));
        copy(flags, "gatewayIP", source, SettingKey.GATEWAY_IP);
        copy(flags, "hostIP", source, SettingKey.HOST_IP);
        String device = flags.text("deviceIP", second(subnet));
        // As there: who has a file says in it who gets which address, and which ports lead where.
        if (!hasFile) {
            put(source, SettingKey.STATIC_LEASE, flags.value("deviceIP", DEVICE_MAC + "=" + device));
            sshPort(flags, device, source);
        }
        if (!flags.text("mtu", "0").equals("0")) {
            copy(flags, "mtu", source, SettingKey.MTU);
        }
        copy(flags, "pcap", source, SettingKey.CAPTURE);
        if (!flags.all("notification").isEmpty()) {
            copy(flags, "notification", source, SettingKey.NOTIFICATION);
        }
        if (flags.isOn("ec2-metadata-access")) {
            put(source, SettingKey.ALLOW_LINK_LOCAL, flags.value("ec2-metadata-access", "true"));
        }
        if (flags.isOn("debug")) {
            put(source, SettingKey.LOG_LEVEL, flags.value("debug", "debug"));
        }
        // As with gvproxy: clients of forwards are the gateway to the VM, and the gateway is no proxy.
        put(source, SettingKey.NO_PRESERVE_SOURCE, flags.value("ssh-port", "true"));
        put(source, SettingKey.GATEWAY_HTTP_PROXY, flags.value("gatewayIP", "0"));
        put(source, SettingKey.GATEWAY_SOCKS_PROXY, flags.value("gatewayIP", "0"));
        return source;
    }

    private static void vms(ForeignFlags flags, SettingSource source) throws SettingsException {
        String[][] exclusive = {
            {"listen-vpnkit", "listen-qemu"}, {"listen-vpnkit", "listen-bess"}, {"listen-qemu", "listen-bess"}
        };
        for (String[] pair : exclusive) {
            if (!flags.all(pair[0]).isEmpty() && !flags.all(pair[1]).isEmpty()) {
                throw flags.value(pair[0], "").wrong("cannot be used together with -" + pair[1]);
            }
        }
        List<Value> vms = new ArrayList<>();
        for (Value value : flags.all("listen-qemu")) {
            vms.add(
                    value.text().startsWith("tcp://")
                            ? vm(value, "qemu-tcp:" + value.text().substring("tcp://".length()))
                            : vm(value, "qemu:" + path(value, "unix")));
        }
        for (Value value : flags.all("listen-bess")) {
            vms.add(vm(value, "bess:" + path(value, "unixpacket")));
        }
        for (Value value : flags.all("listen-vfkit")) {
            // gvproxy believes every checksum and takes any length, and krunkit relies on it.
            vms.add(vm(value, "vfkit+offload:" + path(value, "unixgram")));
        }
        for (Value value : flags.all("listen-stdio")) {
            vms.add(vm(value, "stdio:gvproxy"));
        }
        // One session of these, and gvproxy ends; a socket of HyperKit's waits for the next.
        if (!vms.isEmpty()) {
            put(source, SettingKey.ONE_OFF, flags.value("listen-qemu", "true"));
        }
        for (Value value : flags.all("listen-vpnkit")) {
            vms.add(vm(value, "hyperkit:" + path(value, "unix")));
        }
        if (vms.isEmpty() && !flags.all("listen").isEmpty()) {
            vms.add(flags.value("listen", "connect:"));
        }
        if (vms.isEmpty()) {
            throw new SettingsException(
                    "-listen, -listen-qemu, -listen-vfkit, -listen-bess, -listen-vpnkit, -listen-stdio",
                    "one of them is needed");
        }
        source.put(SettingKey.VM.key(), vms);
    }

    private static Value vm(Value flag, String channel) {
        return new Value(flag.place(), channel);
    }

    private static void sshPort(ForeignFlags flags, String device, SettingSource source) throws SettingsException {
        String text = flags.text("ssh-port", Integer.toString(DEFAULT_SSH_PORT));
        if (text.equals("-1")) {
            return;
        }
        if (!text.matches("[0-9]{1,5}") || Integer.parseInt(text) < 1024 || Integer.parseInt(text) > 65_535) {
            throw flags.value("ssh-port", text).wrong("'" + text + "' is neither -1 nor a port of 1024 to 65535");
        }
        String by = flags.all("deviceIP").isEmpty() ? "ssh-port" : "deviceIP";
        put(source, SettingKey.PUBLISH, flags.value(by, "127.0.0.1:" + text + ":22@" + device));
    }

    /** The second address of a network; what is no network is found out later. */
    private static String second(String subnet) {
        try {
            return IpAddress.toString(IpAddress.parseV4(subnet.split("/")[0]) + 2);
        } catch (IllegalArgumentException e) {
            return "";
        }
    }

    /** The last address of a network that a guest can have; what is no network is found out later. */
    static String lastUsable(String subnet) {
        try {
            String[] parts = subnet.split("/", 2);
            int mask = -1 << (32 - Integer.parseInt(parts[1]));
            return IpAddress.toString((IpAddress.parseV4(parts[0]) | ~mask) - 1);
        } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException e) {
            return "";
        }
    }

    private static void copy(ForeignFlags flags, String flag, SettingSource source, SettingKey key) {
        if (!flags.all(flag).isEmpty()) {
            source.put(key.key(), flags.all(flag));
        }
    }

    private static void put(SettingSource source, SettingKey key, Value value) {
        source.put(key.key(), List.of(value));
    }

    private static Path path(Value value, String scheme) throws SettingsException {
        if (!value.text().startsWith(scheme + ":///")) {
            throw value.wrong("'" + value.text() + "' is not " + scheme + ":///PATH, the only form supported");
        }
        return Path.of(value.text().substring(scheme.length() + 3));
    }

    /** The log goes to a file from now on. */
    private static PrintStream redirect(Value file) throws SettingsException {
        try {
            PrintStream log = new PrintStream(new FileOutputStream(file.text(), true), true, StandardCharsets.UTF_8);
            System.setErr(log);
            return log;
        } catch (IOException e) {
            throw file.wrong(e.getMessage());
        }
    }

    /** A file that holds the process' id as long as it lives. */
    private record PidFile(Path path) implements AutoCloseable {

        static PidFile write(List<Value> files) throws SettingsException {
            if (files.isEmpty()) {
                return new PidFile(null);
            }
            Path path = Path.of(files.getLast().text());
            try {
                Files.writeString(path, Long.toString(ProcessHandle.current().pid()));
                // The end by a signal does not come back to whoever has called.
                path.toFile().deleteOnExit();
                return new PidFile(path);
            } catch (IOException e) {
                throw files.getLast().wrong("cannot be written: " + e.getMessage());
            }
        }

        @Override
        public void close() {
            if (path != null) {
                path.toFile().delete();
            }
        }
    }
}
