package dev.slipway.ethernet;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;

/** How a VM's frames come: what stands in front of the colon where a VM's channel is named. */
public enum ChannelScheme {
    /** QEMU's {@code -netdev stream}: behind the colon stands the path of a Unix socket. */
    QEMU("qemu", true),
    /** The same on TCP: behind the colon stands {@code [HOST:]PORT}. */
    QEMU_TCP("qemu-tcp", false),
    /** HyperKit as gvproxy serves it: VPNKit's handshake, unchecked; behind the colon stands the path of a Unix socket. */
    HYPERKIT("hyperkit", true),
    /** VPNKit's protocol: behind the colon stands the path of a Unix socket. */
    VPNKIT("vpnkit", true),
    /** Datagrams of QEMU's {@code -netdev dgram}: behind the colon stands the path of a Unix socket. */
    DGRAM("dgram", true),
    /** Datagrams of vfkit, perhaps after its greeting: behind the colon stands the path of a Unix socket. */
    VFKIT("vfkit", true),
    /** Packets on a connection, of BESS and User Mode Linux: behind the colon stands the path of a Unix socket. */
    BESS("bess", true),
    /** The rings of a VM's own memory, by vhost-user: behind the colon stands the path of a Unix socket. */
    VHOST_USER("vhost-user", true),
    /** A TAP device in a network namespace of this host: behind the colon stands {@code NETNS[/IF]}. */
    TAP("tap", false),
    /** A connection of the control API that asked for {@code /connect}: behind the colon stands {@code NAME[/PROTOCOL]}. */
    CONNECT("connect", false),
    /** A socket that the process was started with: behind the colon stands {@code N[/PROTOCOL]}. */
    FD("fd", false),
    /** Standard input and output: behind the colon stands the protocol, or nothing. */
    STDIO("stdio", false);

    private final String label;
    private final boolean socketFile;

    ChannelScheme(String label, boolean socketFile) {
        this.label = label;
        this.socketFile = socketFile;
    }

    /** As it is written. */
    public String label() {
        return label;
    }

    /** Whether its places are paths of Unix sockets, which are made at the start and removed in the end. */
    public boolean isSocketFile() {
        return socketFile;
    }

    /** Whether a VM manager may have its card leave things undone of frames on it ({@link Offload}). */
    public boolean takesOffload() {
        return switch (this) {
            case QEMU, QEMU_TCP, DGRAM, VFKIT, BESS, FD -> true;
            case HYPERKIT, VPNKIT, VHOST_USER, TAP, CONNECT, STDIO -> false;
        };
    }

    /** The scheme of that label. */
    public static Optional<ChannelScheme> of(String label) {
        return Arrays.stream(values())
                .filter(scheme -> scheme.label.equals(label))
                .findFirst();
    }

    /** All labels, for people. */
    public static String labels() {
        return Arrays.stream(values()).map(ChannelScheme::label).collect(Collectors.joining(", "));
    }
}
