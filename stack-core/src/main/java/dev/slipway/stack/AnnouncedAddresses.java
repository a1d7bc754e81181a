package dev.slipway.stack;

import dev.slipway.ip.Ipv6Neighbours;
import dev.slipway.time.Timed;
import dev.slipway.wire.IpAddress;
import java.util.function.Consumer;

/**
 * IPv6 addresses that a guest is about to use: those that it asks the link about before it takes them (duplicate address
 * detection, RFC 4862, section 5.4), those that it advertises, and those that DHCPv6 gave it. Each is asked for when the
 * detection must be over, {@value #TRIES} times at most; who answers has it, as who sends any packet from it. So a guest
 * is known that never says anything of its own accord.
 *
 * <p>What is announced claims nothing: it may be somebody else's, or never be used.
 */
final class AnnouncedAddresses extends Timed {

    /** Addresses that wait at a time; further ones are not waited for. */
    static final int LIMIT = 16;

    /** Between one question and the next: the detection takes a second after up to a second's delay. In nanoseconds. */
    static final long INTERVAL = 1_500_000_000L;

    static final int TRIES = 3;

    private final Ipv6Neighbours neighbours;
    private final Consumer<IpAddress> ask;
    private final IpAddress[] waiting = new IpAddress[LIMIT];
    private final int[] tries = new int[LIMIT];
    private final long[] due = new long[LIMIT];
    private int size;

    /**
     * @param neighbours the addresses that are used
     * @param ask asks the link for an address
     */
    AnnouncedAddresses(Ipv6Neighbours neighbours, Consumer<IpAddress> ask) {
        this.neighbours = neighbours;
        this.ask = ask;
    }

    /**
     * Waits for an address, anew if it waits already; the owner watches the deadline.
     *
     * @return false if there are too many
     */
    boolean announced(long high, long low, long now) {
        if (neighbours.macOf(high, low) != 0) {
            return true;
        }
        int index = 0;
        while (index < size && (waiting[index].low() != low || waiting[index].high() != high)) {
            index++;
        }
        if (index == LIMIT) {
            return false;
        }
        if (index == size) {
            waiting[size++] = new IpAddress(high, low);
        }
        tries[index] = 0;
        due[index] = now + INTERVAL;
        return true;
    }

    @Override
    protected long deadline() {
        long first = NEVER;
        for (int i = 0; i < size; i++) {
            first = Math.min(first, due[i]);
        }
        return first;
    }

    @Override
    protected void expired(long now) {
        int kept = 0;
        for (int i = 0; i < size; i++) {
            IpAddress address = waiting[i];
            boolean isUsed = neighbours.macOf(address.high(), address.low()) != 0;
            boolean asks = !isUsed && due[i] <= now;
            if (asks) {
                ask.accept(address);
            }
            int asked = tries[i] + (asks ? 1 : 0);
            if (!isUsed && asked < TRIES) {
                waiting[kept] = address;
                tries[kept] = asked;
                due[kept] = asks ? now + INTERVAL : due[i];
                kept++;
            }
        }
        clear(kept);
    }

    /** The guest is gone. */
    void clear() {
        clear(0);
    }

    private void clear(int kept) {
        for (int i = kept; i < size; i++) {
            waiting[i] = null;
        }
        size = kept;
    }
}
