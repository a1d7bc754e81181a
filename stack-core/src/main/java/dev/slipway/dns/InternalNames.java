package dev.slipway.dns;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The names that the stack itself answers for: those of the host and of the gateway, and back. Immutable. */
public final class InternalNames {

    /** Names of the host address; the first is what the address is called. */
    public static final List<String> HOST =
            List.of("host.docker.internal", "host.containers.internal", "host.internal");

    /** Names of the gateway; the first is what the address is called. */
    public static final List<String> GATEWAY = List.of(
            "gateway.docker.internal", "gateway.containers.internal", "gateway.internal", "http.docker.internal");

    /** How long an answer may be kept. Short: the next run may have other addresses. */
    static final int TTL_SECONDS = 60;

    private final Map<String, Record> records = new HashMap<>();
    private final Map<String, byte[]> ipv6 = new HashMap<>();

    /** The one record of a name; a type of 0 if there is none. */
    private record Record(int type, byte[] data) {}

    /** The names of a stack with these settings. Without a host address its names exist but have no address. */
    public InternalNames(StackSettings settings) {
        add(GATEWAY, settings.gateway());
        add(HOST, settings.host());
        if (settings.ipv6().enabled()) {
            addIpv6(GATEWAY, settings.ipv6().gateway());
            if (settings.ipv6().host() != null && settings.host() != 0) {
                addIpv6(HOST, settings.ipv6().host());
            }
        }
    }

    private void addIpv6(List<String> names, IpAddress address) {
        names.forEach(name -> ipv6.put(name + ".", address.toBytes()));
        byte[] pointer = DnsMessage.encodeName(names.getFirst());
        records.put(LocalNames.reverseName(address), new Record(DnsMessage.TYPE_PTR, pointer));
    }

    private void add(List<String> names, int address) {
        byte[] bytes = IpAddress.ofV4(address).toBytes();
        for (String name : names) {
            records.put(name + ".", address == 0 ? new Record(0, new byte[0]) : new Record(DnsMessage.TYPE_A, bytes));
        }
        if (address != 0) {
            String reverse = (address & 0xFF) + "." + (address >>> 8 & 0xFF) + "." + (address >>> 16 & 0xFF) + "."
                    + (address >>> 24) + ".in-addr.arpa.";
            records.put(reverse, new Record(DnsMessage.TYPE_PTR, DnsMessage.encodeName(names.getFirst())));
        }
    }

    /** Whether a name, lower case and with a dot behind, is one of these. */
    boolean has(String name) {
        return records.containsKey(name);
    }

    /** The names with an address as zones: one for each suffix. */
    List<Zone> zones() {
        Map<String, List<ZoneRecord>> bySuffix = new LinkedHashMap<>();
        for (List<String> names : List.of(GATEWAY, HOST)) {
            for (String name : names) {
                Record record = records.get(name + ".");
                if (record.type == DnsMessage.TYPE_A) {
                    int dot = name.indexOf('.');
                    bySuffix.computeIfAbsent(name.substring(dot + 1), suffix -> new ArrayList<>())
                            .add(ZoneRecord.named(name.substring(0, dot), IpAddress.ofBytes(record.data)));
                }
            }
        }
        List<Zone> zones = new ArrayList<>();
        bySuffix.forEach((suffix, list) -> zones.add(new Zone(suffix, list, Optional.empty(), false)));
        return zones;
    }

    /**
     * The answer to a query.
     *
     * @return {@code null} if the name is none of these
     */
    byte[] answer(DnsMessage query) {
        Record record = records.get(query.name());
        if (record == null) {
            return null;
        }
        if (query.hasEdns() && query.ednsVersion() != 0) {
            return query.respond(DnsMessage.BADVERS);
        }
        boolean typeFits = query.type() == record.type || query.type() == DnsMessage.TYPE_ANY && record.type != 0;
        boolean classFits = query.recordClass() == DnsMessage.CLASS_IN || query.recordClass() == DnsMessage.CLASS_ANY;
        byte[] address6 = query.type() == DnsMessage.TYPE_AAAA ? ipv6.get(query.name()) : null;
        if (address6 != null && classFits) {
            return query.respond(DnsMessage.TYPE_AAAA, address6, TTL_SECONDS);
        }
        return typeFits && classFits
                ? query.respond(record.type, record.data, TTL_SECONDS)
                : query.respond(DnsMessage.NOERROR);
    }
}
