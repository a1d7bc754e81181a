package dev.slipway.vhost;

import dev.slipway.ethernet.LoopDescriptor;
import dev.slipway.posix.EventSignal;
import dev.slipway.posix.Sockets;
import io.netty.channel.EventLoop;

/**
 * The network device that one front-end has: what was agreed, the guest's memory, and its two rings. It does what
 * messages ask, and ends with the connection.
 *
 * <p>A message that cannot be is a {@link ProtocolViolation}, and ends the connection. One that is only not done (a
 * request that is not known, an MTU that is too large) is answered so if an answer was asked for.
 */
final class VhostDevice {

    /** The ring that the guest receives by. */
    static final int TO_GUEST = 0;
    /** The ring that the guest sends by. */
    static final int FROM_GUEST = 1;

    private static final int RINGS = 2;
    private static final int MAX_TABLE = 8;

    /** What follows a message. */
    enum Answer {
        /** Done; it is said if that was asked for. */
        DONE,
        /** Not done; it is said if that was asked for. */
        NOT_DONE,
        /** A value, see {@link #value}. */
        VALUE,
        /** A ring's state, see {@link #value}. */
        RING_STATE
    }

    /** What has to stop while memory or rings change. */
    interface Queues {

        /** Memory goes: nothing may point into it any more. */
        void beforeMemoryChanges();

        /** A ring is about to stop. */
        void beforeStop(int ring);

        /** The driver has told of new chains. */
        void kicked(int ring);
    }

    private final EventLoop loop;
    private final Sockets sockets;
    private final Queues queues;
    private final int mtu;
    private final GuestMemory memory = new GuestMemory();
    private final Vring[] rings = new Vring[RINGS];
    private long features;
    private long protocolFeatures;
    private int requests = Vring.NONE;
    private long value;
    private boolean mayShrink;

    /** @param mtu bytes of the largest IP packet that goes to the guest */
    VhostDevice(EventLoop loop, Sockets sockets, EventSignal signals, Queues queues, int mtu) {
        this.loop = loop;
        this.sockets = sockets;
        this.queues = queues;
        this.mtu = mtu;
        for (int i = 0; i < RINGS; i++) {
            rings[i] = new Vring(i, sockets, signals);
        }
    }

    /** Does what a message asks. */
    Answer handle(ControlMessage message, PassedDescriptors passed) throws ProtocolViolation {
        if (passed.areTooMany()) {
            throw new ProtocolViolation("request " + message.request() + " with too many descriptors");
        }
        return switch (message.request()) {
            case ControlMessage.SET_MEM_TABLE -> memoryTable(message, passed);
            case ControlMessage.ADD_MEM_REG -> addRegion(message, passed);
            case ControlMessage.REM_MEM_REG -> removeRegion(message, passed);
            case ControlMessage.SET_VRING_KICK, ControlMessage.SET_VRING_CALL, ControlMessage.SET_VRING_ERR ->
                ringDescriptor(message, passed);
            case ControlMessage.SET_BACKEND_REQ_FD -> {
                expect(message, passed, 1);
                closeRequests();
                // Nothing is ever asked on it, but a front-end may take its end for this side's.
                requests = passed.take(0);
                yield Answer.DONE;
            }
            case ControlMessage.GET_FEATURES,
                    ControlMessage.SET_FEATURES,
                    ControlMessage.SET_OWNER,
                    ControlMessage.RESET_OWNER,
                    ControlMessage.GET_PROTOCOL_FEATURES,
                    ControlMessage.SET_PROTOCOL_FEATURES,
                    ControlMessage.GET_QUEUE_NUM,
                    ControlMessage.GET_MAX_MEM_SLOTS,
                    ControlMessage.SEND_RARP,
                    ControlMessage.NET_SET_MTU -> {
                expect(message, passed, 0);
                yield ofDevice(message);
            }
            case ControlMessage.SET_VRING_NUM,
                    ControlMessage.SET_VRING_ADDR,
                    ControlMessage.SET_VRING_BASE,
                    ControlMessage.GET_VRING_BASE,
                    ControlMessage.SET_VRING_ENABLE -> {
                expect(message, passed, 0);
                yield ofRing(message);
            }
            default -> Answer.NOT_DONE;
        };
    }

    private static void expect(ControlMessage message, PassedDescriptors passed, int count) throws ProtocolViolation {
        if (passed.count() != count) {
            throw new ProtocolViolation(
                    "request " + message.request() + " with " + passed.count() + " descriptors, not " + count);
        }
    }

    private Answer ofDevice(ControlMessage message) throws ProtocolViolation {
        switch (message.request()) {
            case ControlMessage.GET_FEATURES -> {
                return value(Features.OFFERED);
            }
            case ControlMessage.GET_PROTOCOL_FEATURES -> {
                return value(Features.PROTOCOL_OFFERED);
            }
            case ControlMessage.GET_QUEUE_NUM -> {
                return value(1);
            }
            case ControlMessage.GET_MAX_MEM_SLOTS -> {
                return value(GuestMemory.MAX_REGIONS);
            }
            case ControlMessage.SET_FEATURES -> {
                features = subset(message.u64(0), Features.OFFERED, "features");
                // Rings of an older driver are in another byte order or layout, and are not started.
                return (features & Features.VERSION_1) != 0 ? Answer.DONE : Answer.NOT_DONE;
            }
            case ControlMessage.SET_PROTOCOL_FEATURES ->
                protocolFeatures = subset(message.u64(0), Features.PROTOCOL_OFFERED, "protocol features");
            case ControlMessage.NET_SET_MTU -> {
                return message.u64(0) >= mtu && message.u64(0) <= 0xFFFF ? Answer.DONE : Answer.NOT_DONE;
            }
            default -> {
                // An owner matters to nobody, and there is no other switch that would have to learn an address.
                return Answer.DONE;
            }
        }
        return Answer.DONE;
    }

    private static long subset(long wanted, long offered, String what) throws ProtocolViolation {
        if ((wanted & ~offered) != 0) {
            throw new ProtocolViolation(what + " that were not offered: 0x" + Long.toHexString(wanted & ~offered));
        }
        return wanted;
    }

    private Answer value(long of) {
        value = of;
        return Answer.VALUE;
    }

    /** The value of the last answer that has one. */
    long value() {
        return value;
    }

    // --- memory -------------------------------------------------------------------------------------------------

    /** There may be room behind its regions: User Mode Linux 6.1 always sends two, of which it says that there is one. */
    private Answer memoryTable(ControlMessage message, PassedDescriptors passed) throws ProtocolViolation {
        long count = message.size() < 8 ? -1 : message.u32(0);
        int room = message.size() - 8;
        if (count < 1
                || count > MAX_TABLE
                || room < count * ControlMessage.REGION
                || room > MAX_TABLE * ControlMessage.REGION
                || room % ControlMessage.REGION != 0) {
            throw new ProtocolViolation("a memory table of " + message.size() + " bytes for " + count + " regions");
        }
        expect(message, passed, (int) count);
        queues.beforeMemoryChanges();
        memory.close();
        mayShrink = false;
        for (int i = 0; i < count; i++) {
            add(message, 8 + i * ControlMessage.REGION, passed.get(i));
        }
        placeAgain();
        return Answer.DONE;
    }

    private void add(ControlMessage message, int at, int fd) throws ProtocolViolation {
        mayShrink |= !memory.add(message.u64(at), message.u64(at + 16), message.u64(at + 8), message.u64(at + 24), fd);
    }

    private Answer addRegion(ControlMessage message, PassedDescriptors passed) throws ProtocolViolation {
        expect(message, passed, 1);
        queues.beforeMemoryChanges();
        add(message, 8, passed.get(0));
        return Answer.DONE;
    }

    /** Some front-ends send a descriptor here, too. */
    private Answer removeRegion(ControlMessage message, PassedDescriptors passed) throws ProtocolViolation {
        if (passed.count() > 1) {
            expect(message, passed, 0);
        }
        queues.beforeMemoryChanges();
        boolean removed = memory.remove(message.u64(8), message.u64(8 + 16), message.u64(8 + 8));
        placeAgain();
        return removed ? Answer.DONE : Answer.NOT_DONE;
    }

    private void placeAgain() throws ProtocolViolation {
        for (Vring ring : rings) {
            ring.placeAgain(memory);
        }
    }

    // --- rings --------------------------------------------------------------------------------------------------

    /** The ring that a message names. */
    private Vring named(long index) throws ProtocolViolation {
        if (index >= RINGS) {
            throw new ProtocolViolation("ring " + index + " of " + RINGS);
        }
        return rings[(int) index];
    }

    private Answer ofRing(ControlMessage message) throws ProtocolViolation {
        Vring ring = named(message.u32(0));
        switch (message.request()) {
            case ControlMessage.SET_VRING_NUM -> ring.size(message.u32(4));
            case ControlMessage.SET_VRING_BASE -> ring.base(message.u32(4));
            case ControlMessage.SET_VRING_ADDR ->
                ring.addresses(message.u64(8), message.u64(24), message.u64(16), memory);
            case ControlMessage.SET_VRING_ENABLE -> ring.enable(message.u32(4) != 0);
            default -> {
                queues.beforeStop((int) message.u32(0));
                value = ring.stop();
                return Answer.RING_STATE;
            }
        }
        return Answer.DONE;
    }

    private Answer ringDescriptor(ControlMessage message, PassedDescriptors passed) throws ProtocolViolation {
        long word = message.u64(0);
        boolean none = (word & ControlMessage.NO_DESCRIPTOR) != 0;
        int index = (int) (word & 0xFF);
        Vring ring = named(index);
        expect(message, passed, none ? 0 : 1);
        if (none) {
            switch (message.request()) {
                case ControlMessage.SET_VRING_CALL -> ring.call(Vring.NONE);
                case ControlMessage.SET_VRING_ERR -> ring.error(Vring.NONE);
                default -> throw new ProtocolViolation("ring " + index + " without kicks: polling is not supported");
            }
            return Answer.DONE;
        }
        // User Mode Linux waits for calls on a socket. Kicks are never read, which a socket would not stand.
        if (message.request() == ControlMessage.SET_VRING_KICK
                ? !EventSignal.isEvent(passed.get(0))
                : !EventSignal.takesSignals(passed.get(0))) {
            throw new ProtocolViolation(
                    "request " + message.request() + " with a descriptor of another kind than an eventfd");
        }
        int fd = passed.take(0);
        switch (message.request()) {
            case ControlMessage.SET_VRING_CALL -> {
                sockets.adopt(fd);
                ring.call(fd);
            }
            case ControlMessage.SET_VRING_ERR -> {
                sockets.adopt(fd);
                ring.error(fd);
            }
            default -> {
                try {
                    ring.kick(new LoopDescriptor(
                            loop, sockets, fd, LoopDescriptor.EACH_WRITE, happening -> queues.kicked(index)));
                } catch (IllegalStateException e) {
                    sockets.close(fd);
                    throw new ProtocolViolation("ring " + index + ": " + e.getMessage());
                }
            }
        }
        return Answer.DONE;
    }

    /**
     * Starts a ring if everything is known that it takes.
     *
     * @return whether it was started by this call
     */
    boolean start(int index) throws ProtocolViolation {
        if (!rings[index].isReady() || (features & Features.VERSION_1) == 0) {
            return false;
        }
        rings[index].start(memory, (features & Features.EVENT_IDX) != 0);
        return true;
    }

    Vring ring(int index) {
        return rings[index];
    }

    /** Whether a ring runs and is enabled; without protocol features each is (vhost-user.rst, "Ring states"). */
    boolean isActive(int index) {
        return rings[index].ring() != null && isEnabled(index);
    }

    boolean isEnabled(int index) {
        return rings[index].isEnabled() || (features & Features.PROTOCOL_FEATURES) == 0;
    }

    long features() {
        return features;
    }

    boolean acknowledges() {
        return (protocolFeatures & Features.PROTOCOL_REPLY_ACK) != 0;
    }

    GuestMemory memory() {
        return memory;
    }

    /** Whether some of the memory can be taken away by making its file shorter. */
    boolean mayShrink() {
        return mayShrink;
    }

    private void closeRequests() {
        if (requests != Vring.NONE) {
            sockets.close(requests);
            requests = Vring.NONE;
        }
    }

    /** Lets go of everything. */
    void close() {
        for (Vring ring : rings) {
            ring.close();
        }
        closeRequests();
        memory.close();
    }
}
