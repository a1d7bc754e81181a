package dev.slipway.vhost;

import dev.slipway.ethernet.LoopDescriptor;
import dev.slipway.posix.EventSignal;
import dev.slipway.posix.Sockets;
import java.lang.foreign.MemorySegment;

/**
 * What the front-end has said of one ring, and the ring itself while it is started. Its descriptors belong to it.
 *
 * <p>A ring is started when all is known of it and a kick descriptor came; it is stopped by GET_VRING_BASE, or broken.
 */
final class Vring {

    static final int NONE = -1;

    private final int index;
    private final Sockets sockets;
    private final EventSignal signals;
    private int size;
    private int base;
    private long descriptors;
    private long available;
    private long used;
    private boolean addressed;
    private boolean enabled;
    private LoopDescriptor kick;
    private int call = NONE;
    private int error = NONE;
    private SplitRing ring;
    private String broken;

    Vring(int index, Sockets sockets, EventSignal signals) {
        this.index = index;
        this.sockets = sockets;
        this.signals = signals;
    }

    void size(long entries) throws ProtocolViolation {
        mustBeStopped("size");
        if (entries < 1 || entries > SplitRing.MAX_SIZE || Long.bitCount(entries) != 1) {
            throw new ProtocolViolation("ring " + index + " of " + entries + " entries");
        }
        size = (int) entries;
    }

    void base(long entry) throws ProtocolViolation {
        mustBeStopped("base");
        if (entry > 0xFFFF) {
            throw new ProtocolViolation("ring " + index + " cannot begin at " + entry);
        }
        base = (int) entry;
    }

    private void mustBeStopped(String what) throws ProtocolViolation {
        if (ring != null) {
            throw new ProtocolViolation("the " + what + " of ring " + index + " cannot change while it runs");
        }
    }

    /** Where its parts lie, in the front-end's memory. While it runs the memory must hold them, too. */
    void addresses(long newDescriptors, long newAvailable, long newUsed, GuestMemory memory) throws ProtocolViolation {
        if ((newDescriptors & 15) != 0 || (newAvailable & 1) != 0 || (newUsed & 3) != 0) {
            throw new ProtocolViolation("ring " + index + " is not aligned");
        }
        descriptors = newDescriptors;
        available = newAvailable;
        used = newUsed;
        addressed = true;
        if (ring != null) {
            place(ring, memory);
        }
    }

    /** Takes the descriptor by which the driver tells of new chains, or null. */
    void kick(LoopDescriptor descriptor) {
        if (kick != null) {
            kick.close();
        }
        kick = descriptor;
    }

    /** Takes the descriptor by which the driver is told, or {@link #NONE}. */
    void call(int fd) {
        close(call);
        call = fd;
        if (ring != null) {
            ring.mustTell();
        }
    }

    /** Takes the descriptor by which the front-end is told that the ring is broken, or {@link #NONE}. */
    void error(int fd) {
        close(error);
        error = fd;
    }

    private void close(int fd) {
        if (fd != NONE) {
            sockets.close(fd);
        }
    }

    void enable(boolean on) {
        enabled = on;
    }

    boolean isEnabled() {
        return enabled;
    }

    /** Whether all is known that it takes to start. */
    boolean isReady() {
        return ring == null && broken == null && size > 0 && addressed && kick != null;
    }

    /** Starts it. */
    void start(GuestMemory memory, boolean eventIndexes) throws ProtocolViolation {
        SplitRing started = new SplitRing(size, eventIndexes, base);
        place(started, memory);
        ring = started;
    }

    /** Finds its parts again after the memory has changed. */
    void placeAgain(GuestMemory memory) throws ProtocolViolation {
        if (ring != null) {
            place(ring, memory);
        }
    }

    private void place(SplitRing placed, GuestMemory memory) throws ProtocolViolation {
        placed.place(
                part(memory, descriptors, SplitRing.descriptorBytes(size), 16),
                part(memory, available, SplitRing.availableBytes(size), 2),
                part(memory, used, SplitRing.usedBytes(size), 4));
    }

    private MemorySegment part(GuestMemory memory, long address, long bytes, int alignment) throws ProtocolViolation {
        MemorySegment part = memory.byUserAddress(address, bytes);
        if (part == null || part.address() % alignment != 0) {
            throw new ProtocolViolation(
                    "no region of memory holds ring " + index + " at 0x" + Long.toHexString(address));
        }
        return part;
    }

    /** The ring while it runs, else null. */
    SplitRing ring() {
        return ring;
    }

    /** Interrupts the driver if it wants that for what was given back. */
    void tell() {
        if (ring != null && ring.publishAndAsk() && call != NONE) {
            signals.signal(call);
        }
    }

    /** Ends it as GET_VRING_BASE does, and says at which entry it goes on when it is started again. */
    int stop() {
        if (ring != null) {
            ring.publish();
            base = ring.base();
            ring = null;
        }
        broken = null;
        kick(null);
        return base;
    }

    /** Ends it because of what stands in it. */
    void breakDown(String reason) {
        if (ring != null) {
            base = ring.base();
            ring = null;
        }
        broken = reason;
        if (error != NONE) {
            signals.signal(error);
        }
    }

    /** Why it is broken, or null. */
    String broken() {
        return broken;
    }

    /** Lets go of everything; the memory may be gone already. */
    void close() {
        ring = null;
        kick(null);
        call(NONE);
        close(error);
        error = NONE;
    }
}
