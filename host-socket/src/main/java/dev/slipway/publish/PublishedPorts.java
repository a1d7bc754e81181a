package dev.slipway.publish;

import dev.slipway.ethernet.SocketPathException;
import dev.slipway.ethernet.Transport;
import dev.slipway.event.Event;
import dev.slipway.event.Events;
import dev.slipway.host.VmSession;
import dev.slipway.publish.NativeStreamListener.Accepting;
import dev.slipway.publish.PortRequest.Protocol;
import dev.slipway.publish.PublishException.Reason;
import dev.slipway.wire.IpAddress;
import io.netty.channel.EventLoop;
import io.netty.channel.IoEventLoop;
import io.netty.util.concurrent.ScheduledFuture;
import java.io.IOException;
import java.net.BindException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is published, and by whom. Methods may be called from any thread but a VM's event loop; they are done one after
 * the other on the event loop given, which owns everything here.
 */
public final class PublishedPorts implements AutoCloseable {

    /** The owner of what is published for a single connection, which {@link #list} leaves out. */
    public static final String TUNNEL = "tunnel";

    /** Ports at a time. */
    public static final int MAX_PORTS = 8_192;

    private static final Logger LOG = LoggerFactory.getLogger(PublishedPorts.class);
    private static final IpAddress LOCALHOST_V4 = IpAddress.ofV4(0x7F00_0001);
    private static final IpAddress LOCALHOST_V6 = new IpAddress(0, 1);
    private static final int RETRY_SECONDS = 1;

    private record Key(Protocol protocol, String local) {}

    private static final class Entry {
        PortRequest request;
        final String owner;
        final boolean retry;
        final List<Listener> listeners = new ArrayList<>();
        String failure;

        Entry(PortRequest request, String owner, boolean retry) {
            this.request = request;
            this.owner = owner;
            this.retry = retry;
        }
    }

    private final EventLoop loop;
    private final Transport transport;
    private final Targets targets;
    private final Optional<IpAddress> defaultAddress;
    private final boolean preserveSource;
    private final Events events;
    private final List<Entry> entries = new ArrayList<>();
    private final Map<Key, Entry> listening = new LinkedHashMap<>();
    private final Map<EventLoop, Accepting> accepting = new IdentityHashMap<>();
    private ScheduledFuture<?> retry;
    private boolean closed;

    /**
     * @param loop that owns all this, no VM's; where there is only one VM, connections are accepted on that one's
     * @param transport of that loop
     * @param sessions the VMs
     * @param addressOfName the address of the VM of that name, network order; 0 if there is none
     * @param defaultAddress what is listened on where a request names no address; empty: localhost, IPv4 and IPv6
     * @param preserveSource whether guests see the addresses of clients
     * @param events where it is told what is published
     */
    public PublishedPorts(
            EventLoop loop,
            Transport transport,
            Supplier<List<VmSession>> sessions,
            ToIntFunction<String> addressOfName,
            Optional<IpAddress> defaultAddress,
            boolean preserveSource,
            Events events) {
        this.loop = loop;
        this.events = events;
        this.transport = transport;
        this.targets = new Targets(sessions, addressOfName);
        this.defaultAddress = defaultAddress;
        this.preserveSource = preserveSource;
    }

    /**
     * Publishes ports: all of them or none.
     *
     * @param owner who asks, for the list
     * @return what listens now, in the order of the requests, with the ports that were chosen
     */
    public List<Published> publish(List<PortRequest> requests, String owner) throws PublishException {
        return call(() -> {
            List<Entry> opened = new ArrayList<>();
            try {
                for (PortRequest request : requests) {
                    Entry entry = new Entry(effective(request), owner, false);
                    open(entry);
                    opened.add(entry);
                }
            } catch (PublishException e) {
                opened.forEach(this::remove);
                throw e;
            }
            return published(opened);
        });
    }

    /**
     * Publishes each port that can be; the others are listed with the reason why not, and get their port when it is
     * free.
     */
    public void publishWhenFree(List<PortRequest> requests, String owner) {
        submit(() -> {
            for (PortRequest request : requests) {
                Entry entry = new Entry(effective(request), owner, true);
                try {
                    open(entry);
                } catch (PublishException e) {
                    entry.failure = e.getMessage();
                    LOG.warn("{}: {} is not published: {}", owner, entry.request, e.getMessage());
                    if (entries.size() < MAX_PORTS) {
                        entries.add(entry);
                    }
                    tell(Event.Kind.PORT_REFUSED, entry);
                    retryLater();
                }
            }
        });
    }

    /**
     * Takes back one port.
     *
     * @param local as {@link PortRequest#local} or, where it was asked for without an address, as that of any address
     */
    public void unpublish(Protocol protocol, String local) throws PublishException {
        unpublish(protocol, List.of(local));
    }

    /** Takes back ports: all of them or, if nothing is published at one of them, none. */
    public void unpublish(Protocol protocol, List<String> locals) throws PublishException {
        call(() -> {
            List<Entry> found = new ArrayList<>();
            for (String local : locals) {
                found.add(find(protocol, local));
            }
            found.forEach(this::remove);
            return null;
        });
    }

    private Entry find(Protocol protocol, String local) throws PublishException {
        Entry entry = listening.get(new Key(protocol, local));
        for (Entry each : entry == null ? entries : List.<Entry>of()) {
            if (each.request.protocol() == protocol && each.request.local().equals(local)) {
                entry = each;
            }
        }
        if (entry == null) {
            throw new PublishException(Reason.UNKNOWN, "nothing is published at " + local + "/" + protocol);
        }
        return entry;
    }

    /** Takes back all that somebody asked for. */
    public void unpublishAllOf(String owner) {
        submit(() -> {
            for (Entry entry : List.copyOf(entries)) {
                if (entry.owner.equals(owner)) {
                    remove(entry);
                }
            }
        });
    }

    /** Everything that listens, or would. */
    public List<Published> list() {
        try {
            return call(() -> published(entries));
        } catch (PublishException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static List<Published> published(Collection<Entry> entries) {
        List<Published> list = new ArrayList<>();
        for (Entry entry : entries) {
            if (entry.owner.equals(TUNNEL)) {
                continue;
            }
            list.add(new Published(entry.request, entry.owner, Optional.ofNullable(entry.failure)));
        }
        return list;
    }

    private PortRequest effective(PortRequest request) {
        return request.address().isPresent() || request.path().isPresent() || defaultAddress.isEmpty()
                ? request
                : new PortRequest(
                        request.protocol(),
                        defaultAddress,
                        request.hostPort(),
                        request.path(),
                        request.guest(),
                        request.guestName(),
                        request.guestPort());
    }

    // ---- on the event loop

    private void open(Entry entry) throws PublishException {
        PortRequest request = entry.request;
        Key wanted = new Key(request.protocol(), request.local());
        Entry holder = request.hostPort() == 0 && request.path().isEmpty() ? null : listening.get(wanted);
        if (holder != null) {
            throw new PublishException(
                    Reason.IN_USE, request.local() + "/" + request.protocol() + " is in use by " + holder.owner);
        }
        if (closed || listening.size() >= MAX_PORTS) {
            throw new PublishException(
                    Reason.TOO_MANY, closed ? "stopping" : MAX_PORTS + " ports are published already");
        }
        try {
            listen(entry);
        } catch (SocketPathException e) {
            throw new PublishException(Reason.REFUSED, e.getMessage());
        } catch (IOException e) {
            entry.listeners.forEach(Listener::close);
            entry.listeners.clear();
            boolean taken =
                    e instanceof BindException || String.valueOf(e.getMessage()).contains("in use");
            throw new PublishException(
                    taken ? Reason.IN_USE : Reason.REFUSED,
                    request.local() + "/" + request.protocol() + ": " + explain(e));
        }
        entry.failure = null;
        listening.put(new Key(request.protocol(), entry.request.local()), entry);
        if (!entries.contains(entry)) {
            entries.add(entry);
        }
        LOG.debug("{}: {} is published", entry.owner, entry.request);
        tell(Event.Kind.PORT_PUBLISHED, entry);
    }

    private void tell(Event.Kind kind, Entry entry) {
        if (entry.owner.equals(TUNNEL)) {
            return;
        }
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("protocol", entry.request.protocol().toString());
        facts.put("local", entry.request.local());
        facts.put("remote", entry.request.remote());
        facts.put("owner", entry.owner);
        if (kind == Event.Kind.PORT_REFUSED) {
            facts.put("failure", entry.failure);
        }
        events.tell(kind, facts);
    }

    /** What the system says, without the names of its calls and classes. */
    private static String explain(IOException e) {
        String message = String.valueOf(e.getMessage());
        int colon = message.lastIndexOf("failed with error(");
        int end = colon < 0 ? -1 : message.indexOf("): ", colon);
        return end < 0 ? message : message.substring(end + 3);
    }

    private void listen(Entry entry) throws IOException {
        PortRequest request = entry.request;
        if (request.protocol() == Protocol.UNIX) {
            entry.listeners.add(StreamListener.listenUnix(request, targets, loop, transport));
            return;
        }
        IpAddress first = request.address().orElse(LOCALHOST_V4);
        Listener listener = listenOn(request, first);
        entry.listeners.add(listener);
        entry.request = request.at(listener.port());
        if (request.address().isEmpty()) {
            try {
                entry.listeners.add(listenOn(entry.request, LOCALHOST_V6));
            } catch (IOException e) {
                // A host without IPv6, or where somebody else has the port there: IPv4 serves.
                LOG.debug("{}: not on [::1]: {}", entry.request, e.getMessage());
            }
        }
    }

    private Listener listenOn(PortRequest request, IpAddress address) throws IOException {
        if (request.protocol() == Protocol.TCP && transport == Transport.NATIVE) {
            EventLoop vmLoop = targets.only().map(VmSession::loop).orElse(loop);
            return NativeStreamListener.listen(
                    request, address, preserveSource, targets, accepting(loop), accepting(vmLoop));
        }
        var socketAddress = PortRequest.socketAddress(address, request.hostPort());
        return request.protocol() == Protocol.UDP
                ? UdpListener.listen(request, socketAddress, preserveSource, targets, loop, transport)
                : StreamListener.listen(request, socketAddress, preserveSource, targets, loop, transport);
    }

    private Accepting accepting(EventLoop where) {
        return accepting.computeIfAbsent(where, key -> new Accepting((IoEventLoop) key));
    }

    private void remove(Entry entry) {
        entry.listeners.forEach(Listener::close);
        entry.listeners.clear();
        if (listening.values().remove(entry)) {
            tell(Event.Kind.PORT_UNPUBLISHED, entry);
        }
        entries.remove(entry);
    }

    private void retryLater() {
        if (retry == null && !closed) {
            retry = loop.schedule(this::retryAll, RETRY_SECONDS, TimeUnit.SECONDS);
        }
    }

    private void retryAll() {
        retry = null;
        boolean more = false;
        for (Entry entry : List.copyOf(entries)) {
            if (entry.retry && entry.failure != null) {
                try {
                    open(entry);
                } catch (PublishException e) {
                    entry.failure = e.getMessage();
                    more = true;
                }
            }
        }
        if (more) {
            retryLater();
        }
    }

    // ----

    private void submit(Runnable task) {
        if (loop.inEventLoop()) {
            task.run();
        } else {
            loop.execute(task);
        }
    }

    private <T> T call(Callable<T> task) throws PublishException {
        try {
            return loop.inEventLoop() ? task.call() : loop.submit(task).get();
        } catch (PublishException | RuntimeException e) {
            throw e;
        } catch (ExecutionException e) {
            if (e.getCause() instanceof PublishException expected) {
                throw expected;
            }
            throw new IllegalStateException("published ports", e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new PublishException(Reason.REFUSED, "interrupted");
        } catch (Exception e) {
            throw new IllegalStateException("published ports", e);
        }
    }

    /** Takes back everything. */
    @Override
    public void close() {
        try {
            call(() -> {
                closed = true;
                List.copyOf(entries).forEach(this::remove);
                if (retry != null) {
                    retry.cancel(false);
                }
                return null;
            });
        } catch (PublishException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
