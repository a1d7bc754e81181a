package dev.slipway.dns;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * All names that are answered here, for all VMs of a network: those of {@link #add zones}, the {@link InternalNames}, and
 * what guests called themselves when they asked for an address, as {@code NAME.vm.internal}. In this order, the first
 * that knows a name answers; a closed zone says last that there is no such name.
 *
 * <p>Thread-safe: the control API adds and lists while the event loops of the VMs ask.
 *
 * <p>Limits: {@value #MAX_ZONES} zones, {@value #MAX_RECORDS} records in all of them.
 */
public final class LocalNames {

    public static final int MAX_ZONES = 256;
    public static final int MAX_RECORDS = 4_096;

    /** Below this are the guests' own names. */
    public static final String GUESTS = "vm.internal";

    /** Zones and guests may change at any time, and nobody is told. */
    private static final int TTL_SECONDS = 0;

    private static final String GUEST_ZONE = GUESTS + ".";
    private static final String REVERSE_V4 = ".in-addr.arpa.";
    private static final String REVERSE_V6 = ".ip6.arpa.";

    private final InternalNames internal;
    private final LeaseTable leases;
    private volatile List<Zone> zones = List.of();

    /** @param leases that know what the guests are called */
    public LocalNames(StackSettings settings, LeaseTable leases) {
        this.internal = new InternalNames(settings);
        this.leases = leases;
    }

    /**
     * Adds a zone, or records to the zone of that name: the new ones go before those it has, and its default address is
     * replaced. Names resolve so from the next query on.
     *
     * @throws IllegalArgumentException if there are too many zones or records; nothing has changed then
     */
    public synchronized void add(Zone zone) {
        List<Zone> changed = new ArrayList<>(zones);
        int at = indexOf(zone.name());
        if (at >= 0) {
            changed.set(at, zones.get(at).with(zone));
        } else {
            changed.add(zone);
        }
        int records = changed.stream().mapToInt(each -> each.records().size()).sum();
        if (changed.size() > MAX_ZONES || records > MAX_RECORDS) {
            throw new IllegalArgumentException("zone " + zone.name() + ": more than " + MAX_ZONES + " zones or "
                    + MAX_RECORDS + " records in all");
        }
        zones = List.copyOf(changed);
    }

    /**
     * Takes a zone out.
     *
     * @param name with or without a dot behind
     * @return whether there was one
     */
    public synchronized boolean remove(String name) {
        int at = indexOf(new Zone(name, List.of(), Optional.empty()).name());
        if (at < 0) {
            return false;
        }
        List<Zone> changed = new ArrayList<>(zones);
        changed.remove(at);
        zones = List.copyOf(changed);
        return true;
    }

    private int indexOf(String name) {
        for (int i = 0; i < zones.size(); i++) {
            if (zones.get(i).name().equals(name)) {
                return i;
            }
        }
        return -1;
    }

    /** The zones that were added, in the order of their first additions. */
    public List<Zone> zones() {
        return zones;
    }

    /** The zones that were added and the built-in names of host and gateway, as one list of zones. */
    public List<Zone> allZones() {
        List<Zone> all = new ArrayList<>(internal.zones());
        for (Zone zone : zones) {
            int at = 0;
            while (at < all.size() && !all.get(at).name().equals(zone.name())) {
                at++;
            }
            if (at < all.size()) {
                all.set(at, all.get(at).with(zone));
            } else {
                all.add(zone);
            }
        }
        return List.copyOf(all);
    }

    /**
     * The answer to a query.
     *
     * @return {@code null} if nobody here knows the name
     */
    byte[] answer(DnsMessage query) {
        byte[] response = null;
        if (query.recordClass() == DnsMessage.CLASS_IN || query.recordClass() == DnsMessage.CLASS_ANY) {
            response = isReverse(query.name()) ? zonePointer(query) : zoneRecord(query);
        }
        if (response == null) {
            response = internal.answer(query);
        }
        if (response == null) {
            response = guestName(query);
        }
        return response == null ? otherwise(query) : response;
    }

    /**
     * Whether a name is answered here, be it that there is no such name.
     *
     * @param name with or without a dot behind; what can be no host's name is not
     */
    public boolean isLocal(String name) {
        byte[] encoded;
        try {
            encoded = DnsMessage.encodeName(name);
        } catch (IllegalArgumentException e) {
            return false;
        }
        byte[] query = new byte[DnsMessage.HEADER_LENGTH + encoded.length + 4];
        MemorySegment bytes = MemorySegment.ofArray(query);
        BigEndian.putU16(bytes, 4, 1);
        System.arraycopy(encoded, 0, query, DnsMessage.HEADER_LENGTH, encoded.length);
        BigEndian.putU16(bytes, query.length - 4L, DnsMessage.TYPE_A);
        BigEndian.putU16(bytes, query.length - 2L, DnsMessage.CLASS_IN);
        DnsMessage message = new DnsMessage();
        return message.parse(bytes, 0, query.length) == DropReason.NONE && answer(message) != null;
    }

    private static boolean isReverse(String name) {
        return name.endsWith(REVERSE_V4) || name.endsWith(REVERSE_V6);
    }

    private byte[] zoneRecord(DnsMessage query) {
        boolean known = false;
        for (Zone zone : zones) {
            String prefix = zone.prefixOf(query.name());
            if (prefix == null) {
                continue;
            }
            for (ZoneRecord record : zone.records()) {
                if (record.matches(prefix)) {
                    known = true;
                    if (fits(query, record.address())) {
                        return address(query, record.address());
                    }
                }
            }
            if (known) {
                return nothing(query, DnsMessage.NOERROR);
            }
        }
        return null;
    }

    /** What the first zone around a name says of all names that it has no record of. */
    private byte[] otherwise(DnsMessage query) {
        for (Zone zone : zones) {
            String prefix = zone.prefixOf(query.name());
            if (prefix == null || prefix.isEmpty()) {
                continue;
            }
            if (zone.defaultAddress().isPresent() && !isReverse(query.name())) {
                IpAddress address = zone.defaultAddress().get();
                return fits(query, address) ? address(query, address) : nothing(query, DnsMessage.NOERROR);
            }
            if (zone.closed()) {
                return nothing(query, DnsMessage.NXDOMAIN);
            }
        }
        return null;
    }

    private byte[] zonePointer(DnsMessage query) {
        for (Zone zone : zones) {
            for (ZoneRecord record : zone.records()) {
                if (record.isExact() && reverseName(record.address()).equals(query.name())) {
                    return pointer(query, zone.fullName(record));
                }
            }
        }
        return null;
    }

    /** {@code NAME.vm.internal} and back. Nobody else knows names there, so what is not known does not exist. */
    private byte[] guestName(DnsMessage query) {
        String name = query.name();
        if (name.endsWith(REVERSE_V4)) {
            int address = addressOf(name);
            String guest = address == 0 ? "" : leases.nameOf(address);
            return guest.isEmpty() ? null : pointer(query, guest + "." + GUEST_ZONE);
        }
        if (name.endsWith(REVERSE_V6)) {
            Optional<IpAddress> address = ipv6Of(name);
            String guest = address.map(leases::nameOf).orElse("");
            return guest.isEmpty() ? null : pointer(query, guest + "." + GUEST_ZONE);
        }
        if (name.equals(GUEST_ZONE)) {
            return nothing(query, DnsMessage.NOERROR);
        }
        if (!name.endsWith("." + GUEST_ZONE)) {
            return null;
        }
        String guest = name.substring(0, name.length() - GUEST_ZONE.length() - 1);
        int address = leases.addressOf(guest);
        if (address == 0) {
            return nothing(query, DnsMessage.NXDOMAIN);
        }
        if (query.type() == DnsMessage.TYPE_AAAA) {
            // None while IPv6 is off: no stack hears of such addresses then.
            return leases.ipv6Of(guest)
                    .map(known -> address(query, known))
                    .orElseGet(() -> nothing(query, DnsMessage.NOERROR));
        }
        IpAddress found = IpAddress.ofV4(address);
        return fits(query, found) ? address(query, found) : nothing(query, DnsMessage.NOERROR);
    }

    private static boolean fits(DnsMessage query, IpAddress address) {
        return query.type() == DnsMessage.TYPE_ANY
                || query.type() == (address.isV4() ? DnsMessage.TYPE_A : DnsMessage.TYPE_AAAA);
    }

    private static byte[] address(DnsMessage query, IpAddress address) {
        int type = address.isV4() ? DnsMessage.TYPE_A : DnsMessage.TYPE_AAAA;
        return isBadVersion(query)
                ? query.respond(DnsMessage.BADVERS)
                : query.respond(type, address.toBytes(), TTL_SECONDS);
    }

    private static byte[] pointer(DnsMessage query, String name) {
        boolean asked = query.type() == DnsMessage.TYPE_PTR || query.type() == DnsMessage.TYPE_ANY;
        return asked && !isBadVersion(query)
                ? query.respond(DnsMessage.TYPE_PTR, DnsMessage.encodeName(name), TTL_SECONDS)
                : nothing(query, DnsMessage.NOERROR);
    }

    private static byte[] nothing(DnsMessage query, int code) {
        return query.respond(isBadVersion(query) ? DnsMessage.BADVERS : code);
    }

    private static boolean isBadVersion(DnsMessage query) {
        return query.hasEdns() && query.ednsVersion() != 0;
    }

    /** The name under which an address is asked for its name (RFC 1035, section 3.5; RFC 3596, section 2.5). */
    static String reverseName(IpAddress address) {
        byte[] bytes = address.toBytes();
        StringBuilder name = new StringBuilder();
        for (int i = bytes.length - 1; i >= 0; i--) {
            int octet = bytes[i] & 0xFF;
            if (bytes.length == 4) {
                name.append(octet).append('.');
            } else {
                name.append(Character.forDigit(octet & 0xF, 16)).append('.');
                name.append(Character.forDigit(octet >>> 4, 16)).append('.');
            }
        }
        return name.append((bytes.length == 4 ? REVERSE_V4 : REVERSE_V6).substring(1))
                .toString();
    }

    /** The IPv4 address that a reverse name stands for, or 0. */
    private static int addressOf(String reverse) {
        String[] labels =
                reverse.substring(0, reverse.length() - REVERSE_V4.length()).split("\\.", -1);
        if (labels.length != 4) {
            return 0;
        }
        try {
            return IpAddress.parseV4(labels[3] + "." + labels[2] + "." + labels[1] + "." + labels[0]);
        } catch (IllegalArgumentException e) {
            return 0;
        }
    }

    /** The IPv6 address that a reverse name stands for: 32 hexadecimal digits, the last first. */
    private static Optional<IpAddress> ipv6Of(String reverse) {
        String digits = new StringBuilder(reverse.substring(0, reverse.length() - REVERSE_V6.length()))
                .reverse()
                .toString();
        if (!digits.matches("([0-9a-f]\\.){31}[0-9a-f]")) {
            return Optional.empty();
        }
        String hex = digits.replace(".", "");
        return Optional.of(new IpAddress(
                Long.parseUnsignedLong(hex.substring(0, 16), 16), Long.parseUnsignedLong(hex.substring(16), 16)));
    }
}
