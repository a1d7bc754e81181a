package dev.slipway.stack;

import dev.slipway.seam.DropCounters;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.time.Timed;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.Ipv6Packet;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Puts fragmented datagrams of the guest together, of IPv4 (RFC 791, section 3.2; RFC 815) and IPv6 (RFC 8200, section
 * 4.5). Overlapping fragments condemn the whole datagram (RFC 5722; for IPv4 too): no honest sender makes them.
 *
 * <p>Bounded: by the bytes that wait, the oldest datagram going first, by fragments per datagram, and by {@link
 * #TIMEOUT}.
 */
final class Reassembly extends Timed {

    /** How long a datagram may wait for its last fragment: 30 seconds, in nanoseconds. */
    static final long TIMEOUT = 30_000_000_000L;

    private static final int MAX_PAYLOAD = 65_535 - Ipv4Packet.HEADER_LENGTH;
    /** The most that the length of an IPv6 packet can say. */
    static final int MAX_PAYLOAD_V6 = 65_535;

    /** A datagram of 64 KiB over the smallest MTU has fewer. */
    private static final int MAX_FRAGMENTS = 128;

    private final int limit;
    private final DropCounters drops;
    private final DeadlineQueue deadlines;
    private final Map<Key, Datagram> waiting = new LinkedHashMap<>();
    private final MemorySegment whole = Arena.ofAuto().allocate(MAX_PAYLOAD_V6);
    private int bytes;
    private int protocol;

    Reassembly(int limit, DropCounters drops, DeadlineQueue deadlines) {
        this.limit = limit;
        this.drops = drops;
        this.deadlines = deadlines;
    }

    /**
     * Takes a fragment.
     *
     * @return the length of the datagram's payload, which is now in {@link #payload}, or -1 if some is missing
     */
    int add(Ipv4Packet packet, MemorySegment source, long now) {
        Key key = new Ipv4Key(packet.source(), packet.destination(), packet.protocol(), packet.identification());
        boolean more = packet.hasMoreFragments();
        int start = packet.fragmentOffset();
        int length = packet.payloadLength();
        if (length == 0 || more && length % 8 != 0 || start + length > MAX_PAYLOAD) {
            drops.count(DropReason.FRAGMENT);
            return -1;
        }
        return add(key, packet.protocol(), start, more, source, packet.payloadOffset(), length, now);
    }

    /** The same for IPv6; {@link #protocol} is what the whole begins with then. */
    int add(Ipv6Packet packet, MemorySegment source, long now) {
        Key key = new Ipv6Key(
                packet.sourceHigh(),
                packet.sourceLow(),
                packet.destinationHigh(),
                packet.destinationLow(),
                packet.identification());
        boolean more = packet.hasMoreFragments();
        int start = packet.fragmentOffset();
        int length = packet.payloadLength();
        if (length == 0 || more && length % 8 != 0 || start + length > MAX_PAYLOAD_V6) {
            drops.count(DropReason.FRAGMENT);
            return -1;
        }
        return add(key, packet.protocol(), start, more, source, packet.payloadOffset(), length, now);
    }

    private int add(
            Key key, int next, int start, boolean more, MemorySegment source, long offset, int length, long now) {
        Datagram datagram = waiting.get(key);
        if (datagram == null) {
            datagram = new Datagram(now + TIMEOUT);
            waiting.put(key, datagram);
            deadlines.watch(this);
        }
        if (datagram.condemned) {
            drops.count(DropReason.FRAGMENT_OVERLAP);
            return -1;
        }
        if (datagram.isRepeated(start, length)) {
            return -1;
        }
        if (!datagram.add(start, more, source, offset, length)) {
            drops.count(DropReason.FRAGMENT_OVERLAP);
            bytes -= datagram.condemn();
            return -1;
        }
        bytes += length;
        if (start == 0) {
            datagram.protocol = next;
        }
        if (datagram.isComplete()) {
            int total = datagram.copyTo(whole);
            protocol = datagram.protocol;
            bytes -= total;
            waiting.remove(key);
            return total;
        }
        evict(key);
        return -1;
    }

    /** The payload of the datagram that {@link #add} completed last; valid until the next call. May be written. */
    MemorySegment payload() {
        return whole;
    }

    /** What the first fragment of the datagram that {@link #add} completed last said that it begins with. */
    int protocol() {
        return protocol;
    }

    /** Bytes that wait. */
    int bytes() {
        return bytes;
    }

    void clear() {
        waiting.clear();
        bytes = 0;
    }

    private void evict(Key newest) {
        Iterator<Map.Entry<Key, Datagram>> oldest = waiting.entrySet().iterator();
        while ((bytes > limit || waiting.size() > limit / 1024) && oldest.hasNext()) {
            Map.Entry<Key, Datagram> entry = oldest.next();
            if (!entry.getKey().equals(newest)) {
                bytes -= entry.getValue().condemn();
                oldest.remove();
                drops.count(DropReason.FRAGMENT_LIMIT);
            }
        }
    }

    @Override
    protected long deadline() {
        return waiting.isEmpty() ? NEVER : waiting.values().iterator().next().deadline;
    }

    @Override
    protected void expired(long now) {
        Iterator<Datagram> oldest = waiting.values().iterator();
        while (oldest.hasNext()) {
            Datagram datagram = oldest.next();
            if (datagram.deadline > now) {
                return;
            }
            bytes -= datagram.condemn();
            oldest.remove();
            drops.count(DropReason.FRAGMENT_TIMEOUT);
        }
    }

    /** What the fragments of one datagram have in common. */
    private sealed interface Key {}

    private record Ipv4Key(int source, int destination, int protocol, int identification) implements Key {}

    private record Ipv6Key(
            long sourceHigh, long sourceLow, long destinationHigh, long destinationLow, int identification)
            implements Key {}

    /** One datagram in pieces, sorted by where they begin. */
    private static final class Datagram {

        private final long deadline;
        private int[] starts = new int[8];
        private byte[][] pieces = new byte[8][];
        private int size;
        private int have;
        private int total = -1;
        private int protocol;
        private boolean condemned;

        Datagram(long deadline) {
            this.deadline = deadline;
        }

        boolean isRepeated(int start, int length) {
            for (int i = 0; i < size; i++) {
                if (starts[i] == start && pieces[i].length == length) {
                    return true;
                }
            }
            return false;
        }

        boolean add(int start, boolean more, MemorySegment source, long offset, int length) {
            int end = start + length;
            int index = 0;
            while (index < size && starts[index] < start) {
                index++;
            }
            boolean overlaps = index > 0 && starts[index - 1] + pieces[index - 1].length > start
                    || index < size && starts[index] < end;
            boolean contradicts = total >= 0 && (end > total || !more && end != total)
                    || !more && size > 0 && starts[size - 1] + pieces[size - 1].length > end;
            if (overlaps || contradicts || size == MAX_FRAGMENTS) {
                return false;
            }
            if (!more) {
                total = end;
            }
            if (size == starts.length) {
                starts = java.util.Arrays.copyOf(starts, size * 2);
                pieces = java.util.Arrays.copyOf(pieces, size * 2);
            }
            System.arraycopy(starts, index, starts, index + 1, size - index);
            System.arraycopy(pieces, index, pieces, index + 1, size - index);
            starts[index] = start;
            pieces[index] = source.asSlice(offset, length).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
            size++;
            have += length;
            return true;
        }

        boolean isComplete() {
            return have == total;
        }

        int copyTo(MemorySegment target) {
            for (int i = 0; i < size; i++) {
                MemorySegment.copy(MemorySegment.ofArray(pieces[i]), 0, target, starts[i], pieces[i].length);
            }
            return total;
        }

        /** Lets go of the bytes; what still comes of this datagram is dropped. Returns how many bytes it had. */
        int condemn() {
            int released = have;
            condemned = true;
            have = 0;
            size = 0;
            pieces = new byte[0][];
            starts = new int[0];
            return released;
        }
    }
}
