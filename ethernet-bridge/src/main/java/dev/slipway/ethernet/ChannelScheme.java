package dev.slipway.ethernet;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;

/** How a VM's frames come: what stands in front of the colon where a VM's channel is named. */
public enum ChannelScheme {
    /** QEMU's {@code -netdev stream}: behind the colon stands the path of a Unix socket. */
    QEMU("qemu"),
    /** A TAP device in a network namespace of this host: behind the colon stands {@code NETNS[/IF]}. */
    TAP("tap");

    private final String label;

    ChannelScheme(String label) {
        this.label = label;
    }

    /** As it is written. */
    public String label() {
        return label;
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
