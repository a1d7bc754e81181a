package dev.slipway;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import dev.slipway.SettingSource.Value;
import dev.slipway.dhcp.DhcpSettings;
import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.LocalNames;
import dev.slipway.dns.Zone;
import dev.slipway.dns.ZoneRecord;
import dev.slipway.host.AaaaAnswers;
import dev.slipway.host.ResolverSettings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** Reads the settings of names and leases. */
final class NameSettings {

    private static final List<String> AAAA = List.of("auto", "pass", "withhold");

    private final SettingSource source;
    private final StackSettings stack;

    NameSettings(SettingSource source, StackSettings stack) {
        this.source = source;
        this.stack = stack;
    }

    ResolverSettings resolver() throws SettingsException {
        ResolverSettings host = ResolverSettings.ofThisHost();
        Value noCache = source.one(SettingKey.NO_DNS_CACHE.key());
        return new ResolverSettings(
                host.resolvConf(),
                host.hosts(),
                rules(),
                noCache == null || !noCache.text().equalsIgnoreCase("true"),
                zones(),
                AaaaAnswers.valueOf(Settings.choice(source, SettingKey.DNS_AAAA, AAAA, "auto")
                        .toUpperCase(Locale.ROOT)));
    }

    private List<String> rules() throws SettingsException {
        List<String> rules = new ArrayList<>();
        for (Value value : source.all(SettingKey.DNS_FOR.key())) {
            try {
                rules.add(ResolverSettings.checkRule(value.text()));
            } catch (IllegalArgumentException e) {
                throw value.wrong(e.getMessage());
            }
        }
        return rules;
    }

    /** The zones, and the records in one around all names that leaves others alone. */
    private List<Zone> zones() throws SettingsException {
        LocalNames all = new LocalNames(stack, new LeaseTable(stack));
        for (Value value : source.all(SettingKey.DNS_ZONE.key())) {
            String[] parts = value.text().split("=", 2);
            try {
                Optional<IpAddress> otherwise = parts.length < 2 ? Optional.empty() : Optional.of(ip(parts[1]));
                all.add(new Zone(parts[0], List.of(), otherwise));
            } catch (IllegalArgumentException e) {
                throw value.wrong(e.getMessage());
            }
        }
        List<ZoneRecord> records = new ArrayList<>();
        for (Value value : source.all(SettingKey.DNS_RECORD.key())) {
            try {
                records.add(record(value.text()));
                if (records.size() > LocalNames.MAX_RECORDS) {
                    throw value.wrong("more than " + LocalNames.MAX_RECORDS + " records");
                }
            } catch (IllegalArgumentException e) {
                throw value.wrong(e.getMessage());
            }
        }
        List<Zone> zones = new ArrayList<>();
        if (!records.isEmpty()) {
            zones.add(new Zone(".", records, Optional.empty(), false));
        }
        zones.addAll(all.zones());
        return zones;
    }

    private static ZoneRecord record(String text) {
        int equals = text.lastIndexOf('=');
        String name = equals < 1 ? "" : text.substring(0, equals);
        if (name.isEmpty()) {
            throw new IllegalArgumentException("'" + text + "' is not NAME=ADDRESS, for example db.test=10.0.0.5");
        }
        IpAddress address = ip(text.substring(equals + 1));
        if (name.length() > 2 && name.startsWith("/") && name.endsWith("/")) {
            return matching(name.substring(1, name.length() - 1), address);
        }
        return ZoneRecord.named(name.endsWith(".") ? name.substring(0, name.length() - 1) : name, address);
    }

    /**
     * A record with a regular expression in RE2's syntax, whose time to match is bounded whatever a guest asks for.
     *
     * @throws IllegalArgumentException if it is none
     */
    static ZoneRecord matching(String regexp, IpAddress address) {
        try {
            Pattern pattern = Pattern.compile(regexp);
            return ZoneRecord.matching(regexp, name -> pattern.matcher(name).find(), address);
        } catch (PatternSyntaxException e) {
            throw new IllegalArgumentException(
                    "'" + regexp + "' is not a regular expression: " + e.getDescription(), e);
        }
    }

    private static IpAddress ip(String text) {
        try {
            return IpAddress.ofBytes(InetAddress.ofLiteral(text).getAddress());
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("'" + text + "' is not an IP address", e);
        }
    }

    DhcpSettings dhcp() throws SettingsException {
        return new DhcpSettings(ntpServers(), routes(), reserved());
    }

    private List<Integer> ntpServers() throws SettingsException {
        List<Integer> servers = new ArrayList<>();
        for (Value value : few(SettingKey.NTP_SERVER)) {
            servers.add(v4(value, value.text()));
        }
        return servers;
    }

    private List<Value> few(SettingKey key) throws SettingsException {
        List<Value> values = source.all(key.key());
        if (values.size() > DhcpSettings.MAX_ENTRIES) {
            throw values.get(DhcpSettings.MAX_ENTRIES)
                    .wrong(values.size() + " of them, there may be " + DhcpSettings.MAX_ENTRIES);
        }
        return values;
    }

    private List<DhcpSettings.Route> routes() throws SettingsException {
        List<DhcpSettings.Route> routes = new ArrayList<>();
        for (Value value : few(SettingKey.DHCP_ROUTE)) {
            String[] parts = value.text().split("[/=]", -1);
            if (parts.length != 3 || !value.text().matches("[^/]*/[0-9]{1,2}=.*")) {
                throw value.wrong("'" + value.text() + "' is not CIDR=ROUTER, for example 10.1.0.0/16=192.168.65.9");
            }
            int router = v4(value, parts[2]);
            if (!stack.contains(router)) {
                throw value.wrong("the router " + parts[2] + " is outside the guest's network " + Settings.cidr(stack));
            }
            try {
                routes.add(new DhcpSettings.Route(v4(value, parts[0]), Integer.parseInt(parts[1]), router));
            } catch (IllegalArgumentException e) {
                throw value.wrong("'" + value.text() + "': " + e.getMessage());
            }
        }
        return routes;
    }

    private Map<Integer, Long> reserved() throws SettingsException {
        Map<Integer, Long> reserved = new HashMap<>();
        LeaseTable table = new LeaseTable(stack);
        for (Value value : source.all(SettingKey.STATIC_LEASE.key())) {
            int equals = value.text().indexOf('=');
            if (equals < 0) {
                throw value.wrong(
                        "'" + value.text() + "' is not MAC=ADDRESS, for example 52:54:00:12:34:56=192.168.65.50");
            }
            int address = v4(value, value.text().substring(equals + 1));
            try {
                long mac = MacAddress.parse(value.text().substring(0, equals));
                table.reserve(address, mac);
                reserved.put(address, mac);
            } catch (IllegalArgumentException e) {
                throw value.wrong(e.getMessage());
            }
        }
        return reserved;
    }

    private static int v4(Value value, String text) throws SettingsException {
        try {
            return IpAddress.parseV4(text);
        } catch (IllegalArgumentException e) {
            throw value.wrong(e.getMessage());
        }
    }

    Optional<Path> leaseFile() throws SettingsException {
        Value value = source.one(SettingKey.LEASE_FILE.key());
        if (value == null) {
            return Optional.empty();
        }
        try {
            Path path = Path.of(value.text());
            Path folder = path.toAbsolutePath().getParent();
            if (value.text().isEmpty() || folder == null || !Files.isDirectory(folder)) {
                throw value.wrong("the folder of '" + value.text() + "' is not there");
            }
            if (!Files.isWritable(folder) || Files.isDirectory(path)) {
                throw value.wrong("'" + value.text() + "' cannot be written");
            }
            return Optional.of(path);
        } catch (InvalidPathException e) {
            throw value.wrong("not a path: " + e.getReason());
        }
    }
}
