package dev.slipway.host;

import dev.slipway.ethernet.Transport;
import io.netty.channel.MultiThreadIoEventLoopGroup;

/** The event loop that a VM runs on, for tests of other packages. */
public final class VmLoop {

    private VmLoop() {}

    /** One loop on a thread of its own. */
    public static MultiThreadIoEventLoopGroup start(Transport transport) {
        return EventLoops.single(transport, "vm-under-test");
    }
}
