package dev.slipway.lan;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.seam.DropCounters;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.MacAddress;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongSupplier;

/**
 * One VM's port of the switch: a decorator of its link, which sorts what comes from the VM, and of its receiver. To the VM
 * go what its own stack sends and, from a queue, what other VMs do.
 *
 * <p>Others get at most half of the room that the link has in one turn, and 64 KiB; while it has none, their frames wait
 * in the queue, and what finds that full is dropped, and counted with the sender's drops as {@link
 * DropReason#SWITCH_FULL}.
 *
 * <p>Everything but {@link #counters} and {@link #isAttached} belongs to the event loop that owns the link; that loop is
 * woken by those of other VMs.
 */
public final class SwitchPort implements GuestLink {

    /** Bytes that others may send in a turn, however little room there is. */
    private static final int LEAST_BUDGET = 64 << 10;

    private static final int SOURCE = 6;

    private final VmSwitch lan;
    private final String name;
    private final int number;
    private final Executor loop;
    private final GuestLink link;
    private final long gatewayMac;
    private final LongSupplier clock;
    private final FrameGuard guard;
    private final SwitchCounters counters = new SwitchCounters();
    private final Runnable drain = this::drain;

    // --- what other VMs' threads look at

    private final AtomicBoolean woken = new AtomicBoolean();
    /** Which of its guests the VM is at; 0 while there is none. */
    private volatile int connection;

    /** Made with the first guest. */
    private volatile FrameQueue queue;

    // --- what is this VM's own

    private final Frame arriving = new Frame();
    private final SwitchPort[] toWake;
    private int toWakeCount;
    private Receiver receiver;
    private DropCounters drops = new DropCounters();
    private Station last;
    private int connections;
    private boolean handed;
    private boolean inBatch;
    private boolean toldOfConflict;
    private long now;

    /** @param clock nanoseconds, that of the table of leases */
    SwitchPort(VmSwitch lan, String name, int number, Executor loop, GuestLink link, LongSupplier clock) {
        this.lan = lan;
        this.name = name;
        this.number = number;
        this.loop = loop;
        this.link = link;
        this.clock = clock;
        gatewayMac = lan.settings().gatewayMac();
        guard = new FrameGuard(lan.settings(), lan.leases());
        toWake = new SwitchPort[lan.size()];
    }

    /**
     * What to give to the link below as its receiver.
     *
     * @param to who gets what is not for other VMs alone
     * @param holder who the VM is to the table of leases ({@link LeaseTable#join})
     * @param counted where what is dropped here is counted
     */
    public Receiver receiver(Receiver to, int holder, DropCounters counted) {
        receiver = to;
        drops = counted;
        guard.holder(holder);
        return new FromGuest();
    }

    /** Whether the VM may ask for addresses in the name of a MAC address: it is not another VM's. */
    public boolean maySpeakFor(long mac) {
        return lan.isFreeFor(this, mac);
    }

    /** What passed between this VM and others. */
    public SwitchCounters switchCounters() {
        return counters;
    }

    String name() {
        return name;
    }

    FrameGuard guard() {
        return guard;
    }

    /** Told by the switch: an address is this port's. */
    void learned(Station station) {
        last = station;
    }

    // --- from the VM --------------------------------------------------------------------------------------------

    /** The receiver's side. */
    private final class FromGuest implements Receiver {

        @Override
        public void attached() {
            toldOfConflict = false;
            try {
                join();
            } finally {
                // Without memory for a queue a VM hears no other, and has its own stack.
                receiver.attached();
            }
        }

        @Override
        public void frame(Frame frame) {
            if (!inBatch) {
                inBatch = true;
                now = clock.getAsLong();
            }
            sort(frame);
        }

        @Override
        public void endOfBatch() {
            inBatch = false;
            wakeOthers();
            if (handed) {
                handed = false;
                receiver.endOfBatch();
            }
        }

        @Override
        public void ready() {
            drain();
            receiver.ready();
        }

        @Override
        public void detached(String reason) {
            leave();
            discard();
            receiver.detached(reason);
        }
    }

    /** Decides who gets a frame. */
    private void sort(Frame frame) {
        if (frame.length() < EthernetFrame.HEADER_LENGTH) {
            hand(frame);
            return;
        }
        long destination = BigEndian.u48(frame.bytes(), frame.offset());
        long source = BigEndian.u48(frame.bytes(), frame.offset() + SOURCE);
        if (last == null || last.mac != source || last.gone) {
            if (source == 0 || source == gatewayMac || MacAddress.isGroup(source)) {
                // Nobody's: the stack says so.
                hand(frame);
                return;
            }
            DropReason refused = mayUse(source);
            if (refused != DropReason.NONE) {
                drops.count(refused);
                return;
            }
        }
        last.lastFrame = now;
        if (destination == gatewayMac) {
            hand(frame);
        } else if (MacAddress.isGroup(destination)) {
            toAll(frame);
        } else {
            Station to = lan.find(destination);
            if (to == null || to.port == this) {
                hand(frame);
            } else {
                toOne(frame, to.port);
            }
        }
    }

    private DropReason mayUse(long source) {
        Station known = lan.find(source);
        if (known != null && known.port == this && !known.gone) {
            last = known;
            return DropReason.NONE;
        }
        VmSwitch.Refusal refusal = lan.learn(this, source, now);
        if (refusal == null) {
            return DropReason.NONE;
        }
        if (refusal == VmSwitch.Refusal.TAKEN && !toldOfConflict) {
            toldOfConflict = true;
            VmSwitch.tellOfConflict(this, source);
        }
        return refusal == VmSwitch.Refusal.TAKEN ? DropReason.SPOOF : DropReason.MAC_LIMIT;
    }

    private void hand(Frame frame) {
        handed = true;
        receiver.frame(frame);
    }

    private void toOne(Frame frame, SwitchPort to) {
        DropReason reason = guard.check(frame, last, false, now);
        if (reason != DropReason.NONE) {
            drops.count(reason);
        } else {
            send(frame, to);
        }
    }

    private void toAll(Frame frame) {
        DropReason reason = guard.check(frame, last, true, now);
        if (reason != DropReason.NONE) {
            drops.count(reason);
            return;
        }
        if (!guard.isForGatewayOnly()) {
            for (SwitchPort port : lan.ports()) {
                if (port != this && port.connection != 0) {
                    send(frame, port);
                }
            }
        }
        hand(frame);
    }

    private void send(Frame frame, SwitchPort to) {
        int guest = to.connection;
        if (guest == 0 || !to.queue.offer(frame, number, guest)) {
            drops.count(DropReason.SWITCH_FULL);
            return;
        }
        counters.toVm(frame.length());
        for (int i = 0; i < toWakeCount; i++) {
            if (toWake[i] == to) {
                return;
            }
        }
        toWake[toWakeCount++] = to;
    }

    private void wakeOthers() {
        for (int i = 0; i < toWakeCount; i++) {
            SwitchPort port = toWake[i];
            toWake[i] = null;
            port.wake();
        }
        toWakeCount = 0;
    }

    // --- from other VMs -----------------------------------------------------------------------------------------

    /** Sees to it that the queue is looked at. From any thread. */
    private void wake() {
        if (woken.get() || woken.getAndSet(true)) {
            return;
        }
        boolean posted = false;
        try {
            loop.execute(drain);
            posted = true;
        } catch (RejectedExecutionException e) {
            // That VM's loop has ended, and nobody is there who would miss its frames.
        } finally {
            if (!posted) {
                woken.set(false);
            }
        }
    }

    /** Gives the VM what waits, as far as there is room; {@link GuestLink.Receiver#ready} says that there is again. */
    private void drain() {
        // First: what comes from now on wakes anew.
        woken.set(false);
        FrameQueue from = queue;
        if (connection == 0 || from.isEmpty()) {
            return;
        }
        int room = link.room();
        int budget = Math.max(LEAST_BUDGET, room / 2);
        while (room > 0 && budget > 0 && !from.isEmpty()) {
            if (from.connection() == connection) {
                from.peek(arriving);
                budget -= arriving.length();
                counters.fromVm(arriving.length());
                link.send(arriving);
            } else {
                link.counters().dropToGuest();
            }
            from.remove();
            room = link.room();
        }
        link.flush();
        if (room > 0 && !from.isEmpty()) {
            wake();
        }
    }

    /** Lets go of what waits: it is for a guest that is gone. */
    private void discard() {
        while (queue != null && !queue.isEmpty()) {
            link.counters().dropToGuest();
            queue.remove();
        }
    }

    private void join() {
        if (queue == null) {
            queue = new FrameQueue(lan.size());
        }
        discard();
        connections = connections == Integer.MAX_VALUE ? 1 : connections + 1;
        connection = connections;
    }

    private void leave() {
        connection = 0;
        last = null;
        guard.clear();
        lan.forget(this);
    }

    // --- as a link ----------------------------------------------------------------------------------------------

    @Override
    public int room() {
        return link.room();
    }

    @Override
    public Frame begin(int capacity) {
        return link.begin(capacity);
    }

    @Override
    public void send(Frame frame) {
        link.send(frame);
    }

    @Override
    public void flush() {
        link.flush();
    }

    @Override
    public boolean isAttached() {
        return link.isAttached();
    }

    @Override
    public LinkCounters counters() {
        return link.counters();
    }

    @Override
    public void close() {
        leave();
        link.close();
    }
}
