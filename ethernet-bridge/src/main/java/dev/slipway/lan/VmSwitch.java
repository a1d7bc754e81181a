package dev.slipway.lan;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.MacAddress;
import java.util.Arrays;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The ports of the VMs of one network, and which MAC address is at which. Learning is locked, and rare; looking up is not.
 */
public final class VmSwitch {

    /** How many MAC addresses one VM may use at a time: those of the machines within it. */
    public static final int MAX_STATIONS = 256;

    /** After how much silence another VM may use an address that is not a VM's own card, in seconds. */
    public static final int AGE_SECONDS = 300;

    private static final long AGE_NANOS = TimeUnit.SECONDS.toNanos(AGE_SECONDS);

    private static final Logger LOG = LoggerFactory.getLogger(VmSwitch.class);

    private final StackSettings settings;
    private final LeaseTable leases;
    private final int size;
    private volatile SwitchPort[] ports = {};
    /** Open addressing, at most half full; replaced as a whole. */
    private volatile Station[] stations = new Station[16];

    private int count;
    private int lastId;

    /**
     * A switch without ports.
     *
     * @param leases which IPv4 and IPv6 address is whose
     * @param size how many ports it gets
     */
    public VmSwitch(StackSettings settings, LeaseTable leases, int size) {
        this.settings = settings;
        this.leases = leases;
        this.size = size;
        leases.whenLost(this::lost);
    }

    /**
     * Adds a port.
     *
     * @param name of its VM, for the log
     * @param loop the event loop that owns the VM
     * @param link to the VM
     * @throws IllegalStateException if there are as many as there can be
     */
    public SwitchPort port(String name, Executor loop, GuestLink link) {
        return port(name, loop, link, System::nanoTime);
    }

    /** @param clock nanoseconds, that of the table of leases */
    synchronized SwitchPort port(String name, Executor loop, GuestLink link, LongSupplier clock) {
        if (ports.length == size) {
            throw new IllegalStateException("more ports than " + size);
        }
        SwitchPort added = new SwitchPort(this, name, ports.length, loop, link, clock);
        SwitchPort[] more = Arrays.copyOf(ports, ports.length + 1);
        more[ports.length] = added;
        ports = more;
        return added;
    }

    StackSettings settings() {
        return settings;
    }

    LeaseTable leases() {
        return leases;
    }

    int size() {
        return size;
    }

    /** All of them, the asker's too; not to be changed. */
    SwitchPort[] ports() {
        return ports;
    }

    /** Where a MAC address is, or null if nobody has used it. */
    Station find(long mac) {
        Station[] table = stations;
        int slot = slotOf(table, mac);
        return table[slot];
    }

    private static int slotOf(Station[] table, long mac) {
        int mask = table.length - 1;
        int slot = (int) (mac * 0x9E37_79B9_7F4A_7C15L >>> 32) & mask;
        while (table[slot] != null && table[slot].mac != mac) {
            slot = slot + 1 & mask;
        }
        return slot;
    }

    /** Why an address was not learned. */
    enum Refusal {
        /** It is another VM's. */
        TAKEN,
        /** The VM has as many as it may have. */
        TOO_MANY
    }

    /**
     * Makes a MAC address a port's, if it may have it; {@link SwitchPort#learned} is told.
     *
     * @return null, or why not
     */
    synchronized Refusal learn(SwitchPort port, long mac, long now) {
        Station known = find(mac);
        if (known != null && known.port == port) {
            port.learned(known);
            return null;
        }
        if (known != null && !isOver(known, now)) {
            return Refusal.TAKEN;
        }
        int held = 0;
        Station oldest = null;
        for (Station station : stations) {
            if (station != null && station.port == port) {
                held++;
                if (isOver(station, now) && (oldest == null || station.lastFrame - oldest.lastFrame < 0)) {
                    oldest = station;
                }
            }
        }
        if (held >= MAX_STATIONS && oldest == null) {
            return Refusal.TOO_MANY;
        }
        if (held >= MAX_STATIONS) {
            remove(oldest);
        }
        if (known != null) {
            remove(known);
        }
        lastId = lastId == -1 ? 1 : lastId + 1;
        Station station = new Station(mac, port, lastId, held == 0, now);
        count++;
        Station[] table = copy(count * 2 > stations.length ? stations.length * 2 : stations.length);
        table[slotOf(table, mac)] = station;
        stations = table;
        port.learned(station);
        return null;
    }

    /** Whether somebody else may use the address. */
    private boolean isOver(Station station, long now) {
        return !station.own && now - station.lastFrame > AGE_NANOS && leases.leaseOf(station.mac) == 0;
    }

    private void remove(Station station) {
        station.gone = true;
        count--;
        stations = copy(stations.length);
    }

    /** The table as it is, without those that are gone. */
    private Station[] copy(int length) {
        Station[] table = new Station[length];
        for (Station station : stations) {
            if (station != null && !station.gone) {
                table[slotOf(table, station.mac)] = station;
            }
        }
        return table;
    }

    /** A port's guest is gone, and with it all its addresses. */
    synchronized void forget(SwitchPort port) {
        for (Station station : stations) {
            if (station != null && station.port == port) {
                station.gone = true;
                count--;
            }
        }
        stations = copy(stations.length);
    }

    /** Whether a MAC address is not another port's. */
    boolean isFreeFor(SwitchPort port, long mac) {
        Station station = find(mac);
        return station == null || station.port == port;
    }

    /** Somebody has an IPv4 address no longer. Told while nobody else can get it. */
    private void lost(int address) {
        for (SwitchPort port : ports) {
            port.guard().lost(address);
        }
    }

    /** Tells of two VMs with one address; once for each guest, as it may happen for every frame. */
    static void tellOfConflict(SwitchPort port, long mac) {
        LOG.warn(
                "{}: uses the MAC address {} of another VM, so what it sends is dropped; give it one of its own,"
                        + " or keep the VMs apart (--isolate)",
                port.name(),
                MacAddress.toString(mac));
    }
}
