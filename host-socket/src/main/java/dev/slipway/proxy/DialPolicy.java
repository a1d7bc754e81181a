package dev.slipway.proxy;

import dev.slipway.seam.HostStream.ConnectFailure;
import dev.slipway.wire.IpAddress;
import java.util.Optional;

/** What the host says of an address that a guest wants to reach. */
public interface DialPolicy {

    /** Why a guest may not reach a TCP port of it, or empty if it may. */
    Optional<ConnectFailure> refusal(IpAddress destination, int port);

    /** Whether a guest may reach a TCP port of a host that is known by its name. */
    boolean admitsName(String name, int port);

    /** Whether a connection of the web to an address has to say for which host it is. */
    boolean asksForName(IpAddress destination, int port);

    /** Whether such a one may be for no host in particular. */
    boolean admitsNameless();

    /** The address to dial for one that a guest may reach. */
    IpAddress onHost(IpAddress destination);

    /** Whether it is of the guest's own network or of this host, so that no proxy can lead there. */
    boolean isNear(IpAddress destination);

    /** What an exception of a connecting channel means. */
    ConnectFailure failureOf(Throwable cause);
}
