package dev.slipway.ethernet;

import java.nio.file.Path;

/**
 * Where a VM connects.
 *
 * @param scheme how its frames come
 * @param offload what its card leaves undone of them
 * @param place what stands behind the scheme's colon: a socket's path, or what the scheme says instead
 * @param once whether it ends with its first guest, rather than wait for the next
 */
public record VmChannel(ChannelScheme scheme, Offload offload, String place, boolean once) {

    /** One that outlives its guests, unless the scheme is for one guest only. */
    public VmChannel(ChannelScheme scheme, Offload offload, String place) {
        this(scheme, offload, place, false);
    }

    /** The same without offload of which the link's own protocol does not tell. */
    public VmChannel(ChannelScheme scheme, String place) {
        this(scheme, Offload.NONE, place);
    }

    /** QEMU's stream framing on a Unix socket. */
    public static VmChannel qemu(Path socket) {
        return new VmChannel(ChannelScheme.QEMU, socket.toString());
    }

    /** The place as a path, of a scheme whose places are paths. */
    public Path path() {
        return Path.of(place);
    }

    /** The same, but for its first guest only. */
    public VmChannel onlyOnce() {
        return new VmChannel(scheme, offload, place, true);
    }

    @Override
    public String toString() {
        return scheme.label() + (offload == Offload.NONE ? "" : "+" + offload.label()) + ":" + place;
    }
}
