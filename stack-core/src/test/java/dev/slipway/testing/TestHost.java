package dev.slipway.testing;

import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.wire.IpAddress;
import java.util.ArrayList;
import java.util.List;

/**
 * A host in a test: remembers all sockets that a stack has opened, in order, and opens none but streams when it is told
 * that it is exhausted. What a socket does is the subclass's matter.
 *
 * @param <S> what a connection is
 * @param <D> what a UDP socket is
 * @param <E> what a ping socket is
 */
public abstract class TestHost<S extends HostStream, D extends HostDatagrams, E extends HostEcho>
        implements HostSockets {

    public final List<S> streams = new ArrayList<>();
    public final List<D> datagrams = new ArrayList<>();
    public final List<E> echoes = new ArrayList<>();
    public boolean exhausted;
    /** What becomes of whatever is sent. */
    public HostDatagrams.Verdict verdict = HostDatagrams.Verdict.SENT;

    protected abstract S stream(IpAddress destination, int port, int hopLimit, HostStream.Listener listener);

    protected abstract D datagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener);

    protected abstract E echo(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener);

    /** How many sockets were ever opened. */
    public int opened() {
        return datagrams.size() + streams.size() + echoes.size();
    }

    @Override
    public HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
        streams.add(stream(destination, port, hopLimit, listener));
        return streams.getLast();
    }

    @Override
    public HostDatagrams openDatagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
        if (exhausted) {
            return null;
        }
        datagrams.add(datagrams(preferredPort, ipv6, listener));
        return datagrams.getLast();
    }

    @Override
    public HostEcho openEcho(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
        if (exhausted) {
            return null;
        }
        echoes.add(echo(preferredIdentifier, ipv6, listener));
        return echoes.getLast();
    }
}
