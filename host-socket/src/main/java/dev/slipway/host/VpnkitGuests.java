package dev.slipway.host;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.ethernet.VpnkitHandshake.Identities;
import dev.slipway.ethernet.VpnkitHandshake.Identity;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * The VMs that say who they are by a UUID, as VPNKit's do: each is given a MAC address, the same for as long as the
 * process lives, and by that the same IP address. An address that a VM would like is kept for it.
 *
 * <p>MAC addresses are 02:50 and a number that counts new VMs from 1 on; the one VM that gvproxy knows by its UUID has the
 * address that gvproxy gives it. A VM without a UUID is a new one each time.
 */
final class VpnkitGuests implements Identities {

    /** UUIDs that are remembered; one more is refused. */
    static final int LIMIT = 1_024;

    private static final UUID GVPROXYS = UUID.fromString("c3d68012-0208-11ea-9fd7-f2189899ab08");
    private static final long GVPROXYS_MAC = 0x5A94_EFE4_0CEEL;

    private static final long PREFIX = 0x0250_0000_0000L;
    private static final long NUMBERS = 0xFFFF_FFFFL;

    private final StackSettings settings;
    private final LeaseTable leases;
    private final Map<UUID, Long> known = new HashMap<>();
    private long last;

    VpnkitGuests(StackSettings settings, LeaseTable leases) {
        this.settings = settings;
        this.leases = leases;
        known.put(GVPROXYS, GVPROXYS_MAC);
    }

    @Override
    public synchronized Identity of(Optional<UUID> uuid, int preferred) {
        Long before = uuid.map(known::get).orElse(null);
        if (before == null && uuid.isPresent() && known.size() >= LIMIT) {
            return new Identity(0, "No IP addresses available.");
        }
        long mac = before != null ? before : PREFIX | last + 1 & NUMBERS;
        if (preferred != 0) {
            String refusal = prefer(preferred, mac);
            if (refusal != null) {
                return new Identity(0, refusal);
            }
        }
        if (before == null) {
            last = mac & NUMBERS;
            uuid.ifPresent(id -> known.put(id, mac));
        }
        return new Identity(mac, null);
    }

    /** Keeps an address for a VM: null, or why not. */
    private String prefer(int address, long mac) {
        boolean ofGuests = settings.contains(address)
                && address != settings.network()
                && address != settings.broadcast()
                && !settings.isOwn(address);
        if (!ofGuests) {
            return "Preferred IP address out of range.";
        }
        int leased = leases.leaseOf(mac);
        if (leased != 0 && leased != address) {
            return "UUID already assigned to a different IP than the IP requested by the client";
        }
        try {
            leases.reserve(address, mac);
            return null;
        } catch (IllegalArgumentException taken) {
            return "Preferred IP address " + IpAddress.toString(address) + " already used.";
        }
    }
}
