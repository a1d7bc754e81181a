package dev.slipway.dhcp;

import dev.slipway.seam.Ipv6Settings;
import dev.slipway.wire.IpAddress;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Which IPv6 address of the network belongs to which guest, and by which of its addresses a guest is known to others. An
 * address belongs to the first that uses it, until that one is gone: what {@link LeaseTable} is for IPv4, but that guests
 * make these addresses themselves (RFC 4862) and have several.
 *
 * <p>Known to others is, best first, what DHCPv6 gave it; the address made of its MAC address (RFC 4291, appendix A); the
 * first that it used, since temporary ones (RFC 8981) come after those that last.
 *
 * <p>Shared by the stacks of a process and whoever looks up names, hence locked; no packet but the first from an address
 * comes here. How many addresses a guest may use is its stack's limit.
 */
public final class Ipv6Addresses {

    private static final long UNIVERSAL = 0x0200_0000_0000_0000L;
    private static final long FILLER = 0xFF_FE00_0000L;

    /** A card of a guest; two guests may have cards with one MAC address. */
    private record Card(int holder, long mac) {}

    private final long prefix;
    private final Map<IpAddress, Card> owners = new HashMap<>();
    private final Map<Card, IpAddress> known = new HashMap<>();

    Ipv6Addresses(Ipv6Settings network) {
        this.prefix = network.prefix();
    }

    /**
     * Says that a guest uses an address.
     *
     * @param holder who it is, from {@link LeaseTable#join}
     * @return false if it belongs to another guest with another MAC address
     */
    public synchronized boolean claim(int holder, long high, long low, long mac) {
        IpAddress address = new IpAddress(high, low);
        Card card = new Card(holder, mac);
        Card owner = owners.get(address);
        if (owner != null && owner.mac != mac) {
            return false;
        }
        if (owner != null && owner.holder != holder) {
            // The same card on another channel: the guest has moved.
            known.remove(owner, address);
        }
        owners.put(address, card);
        if (high == prefix) {
            known.merge(card, address, (before, now) -> rank(now, mac) < rank(before, mac) ? now : before);
        }
        return true;
    }

    private static int rank(IpAddress address, long mac) {
        return Dhcp6Server.isLeased(address.low()) ? 0 : address.low() == interfaceId(mac) ? 1 : 2;
    }

    private static long interfaceId(long mac) {
        return (mac >>> 24 << 40 | FILLER | mac & 0xFF_FFFFL) ^ UNIVERSAL;
    }

    /** A guest is gone: its addresses are free. */
    synchronized void leave(int holder) {
        owners.values().removeIf(card -> card.holder == holder);
        known.keySet().removeIf(card -> card.holder == holder);
    }

    /** The address by which a card of a guest is known, if it has used one of the network. */
    public synchronized Optional<IpAddress> of(int holder, long mac) {
        return Optional.ofNullable(known.get(new Card(holder, mac)));
    }

    /** The MAC address of the guest's card that has an address, or 0 if it is nobody's or another guest's. */
    synchronized long macOf(int holder, IpAddress address) {
        Card owner = owners.get(address);
        return owner != null && owner.holder == holder ? owner.mac : 0;
    }

    /** Which guest has an address, or 0. */
    synchronized int holderOf(IpAddress address) {
        Card owner = owners.get(address);
        return owner == null ? 0 : owner.holder;
    }
}
