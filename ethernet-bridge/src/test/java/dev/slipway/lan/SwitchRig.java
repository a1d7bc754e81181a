package dev.slipway.lan;

import dev.slipway.dhcp.DhcpSettings;
import dev.slipway.dhcp.LeaseTable;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Frame;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/** VMs at one switch, all on the test's own thread: a loop's tasks run when they are asked to, and time stands still. */
final class SwitchRig {

    static final StackSettings SETTINGS = StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS);
    static final long GATEWAY = SETTINGS.gatewayMac();

    final LeaseTable leases;
    final VmSwitch lan;
    final List<Vm> vms = new ArrayList<>();
    long now = 1_000_000_000L;

    SwitchRig(int count) {
        this(count, DhcpSettings.NONE);
    }

    SwitchRig(int count, DhcpSettings dhcp) {
        leases = new LeaseTable(SETTINGS, dhcp);
        lan = new VmSwitch(SETTINGS, leases, count);
        for (int i = 0; i < count; i++) {
            vms.add(new Vm(i));
        }
        vms.forEach(Vm::attach);
    }

    /** A VM's MAC address: 52:54:00:00:00:01 and those behind it. */
    static long mac(int index) {
        return 0x5254_0000_0001L + index;
    }

    /** A VM's IPv4 address: 192.168.65.10 and those behind it. */
    static String ip(int index) {
        return "192.168.65." + (10 + index);
    }

    /** What a VM sends, with its own addresses, to another. */
    static PacketBuilder from(int index, int to) {
        return PacketBuilder.guest().mac(mac(index)).address(ip(index)).to(mac(to));
    }

    Vm vm(int index) {
        return vms.get(index);
    }

    /** All VMs tell where they are, and what they have got is forgotten. */
    SwitchRig introduced() {
        for (Vm vm : vms) {
            vm.send(from(vm.index, 0).arpRequest("192.168.65.1"));
        }
        run();
        vms.forEach(Vm::clear);
        return this;
    }

    /** Runs what the loops have to do, until none has anything. */
    void run() {
        boolean ran = true;
        while (ran) {
            ran = false;
            for (Vm vm : vms) {
                Runnable task = vm.tasks.poll();
                if (task != null) {
                    task.run();
                    ran = true;
                }
            }
        }
    }

    /** One VM: what its stack and its guest get. */
    final class Vm implements GuestLink {

        final int index;
        final SwitchPort port;
        final GuestLink.Receiver fromGuest;
        final DropCounters drops = new DropCounters();
        final int holder = leases.join();
        final ArrayDeque<Runnable> tasks = new ArrayDeque<>();
        final List<byte[]> toStack = new ArrayList<>();
        final List<byte[]> toGuest = new ArrayList<>();
        /** Of each frame to the guest: segment size, state of the checksum, and where it is. */
        final List<List<Object>> offload = new ArrayList<>();

        int room = 1 << 20;
        int batches;
        int flushes;
        boolean attached;
        private final LinkCounters counters = new LinkCounters();
        private final Frame frame = new Frame();
        private final MemorySegment memory = Arena.ofAuto().allocate(Frame.MAX_LENGTH);

        Vm(int index) {
            this.index = index;
            port = lan.port("vm " + index, tasks::add, this, () -> now);
            fromGuest = port.receiver(new Stack(), holder, drops);
        }

        void attach() {
            attached = true;
            fromGuest.attached();
        }

        void detach() {
            attached = false;
            fromGuest.detached("as the test wants it");
        }

        void send(MemorySegment... frames) {
            for (MemorySegment bytes : frames) {
                fromGuest.frame(PacketBuilder.frame(bytes));
            }
            fromGuest.endOfBatch();
        }

        /** Sends a frame that is not a plain one. */
        void sendOne(Frame whole) {
            fromGuest.frame(whole);
            fromGuest.endOfBatch();
        }

        void clear() {
            toStack.clear();
            toGuest.clear();
            offload.clear();
            batches = 0;
            flushes = 0;
        }

        long dropped(DropReason reason) {
            return drops.get(reason);
        }

        @Override
        public int room() {
            return room;
        }

        @Override
        public Frame begin(int capacity) {
            return frame.set(memory, 0, capacity);
        }

        @Override
        public void send(Frame sent) {
            room -= sent.length();
            toGuest.add(copy(sent));
            offload.add(List.of(sent.segmentSize(), sent.checksum(), sent.checksumStart(), sent.checksumOffset()));
        }

        @Override
        public void flush() {
            flushes++;
        }

        @Override
        public boolean isAttached() {
            return attached;
        }

        @Override
        public LinkCounters counters() {
            return counters;
        }

        @Override
        public void close() {
            attached = false;
        }

        /** Where frames go that are not for other VMs alone. */
        private final class Stack implements GuestLink.Receiver {

            @Override
            public void attached() {}

            @Override
            public void frame(Frame given) {
                toStack.add(copy(given));
            }

            @Override
            public void endOfBatch() {
                batches++;
            }

            @Override
            public void ready() {}

            @Override
            public void detached(String reason) {}
        }
    }

    private static byte[] copy(Frame frame) {
        return frame.bytes().asSlice(frame.offset(), frame.length()).toArray(ValueLayout.JAVA_BYTE);
    }
}
