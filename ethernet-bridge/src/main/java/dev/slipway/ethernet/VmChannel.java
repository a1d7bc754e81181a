package dev.slipway.ethernet;

import java.nio.file.Path;

/**
 * Where a VM connects.
 *
 * @param scheme how its frames come
 * @param place a socket's path, or what the scheme says instead
 */
public record VmChannel(ChannelScheme scheme, Path place) {

    /** QEMU's stream framing on a Unix socket. */
    public static VmChannel qemu(Path socket) {
        return new VmChannel(ChannelScheme.QEMU, socket);
    }

    @Override
    public String toString() {
        return scheme.label() + ":" + place;
    }
}
