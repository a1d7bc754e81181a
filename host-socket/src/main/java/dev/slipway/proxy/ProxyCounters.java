package dev.slipway.proxy;

/** What the proxies of a VM have counted. Written by the VM's event loop; others may read numbers a moment old. */
public final class ProxyCounters {

    long requests;
    long tunnels;
    long opaque;
    long failures;
    long refusedByProxy;
    long refusedByList;
    long malformed;
    int open;

    /** HTTP requests that were passed on. */
    public long requests() {
        return requests;
    }

    /** Tunnels that were opened: TLS, CONNECT, SOCKS, upgrades and what is none of these. */
    public long tunnels() {
        return tunnels;
    }

    /** Flows that were neither HTTP nor TLS. */
    public long opaque() {
        return opaque;
    }

    /** Connections to a proxy or, around it, to a destination that could not be made or broke early. */
    public long failures() {
        return failures;
    }

    /** Tunnels that a proxy refused. */
    public long refusedByProxy() {
        return refusedByProxy;
    }

    /** Requests and tunnels to destinations that are not on the list of allowed ones. */
    public long refusedByList() {
        return refusedByList;
    }

    /** Requests of guests that were no HTTP or SOCKS, could be read in two ways, or were too long. */
    public long malformed() {
        return malformed;
    }

    /** Flows that are open now. */
    public int open() {
        return open;
    }
}
