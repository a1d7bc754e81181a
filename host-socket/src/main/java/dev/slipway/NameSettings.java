package dev.slipway;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import dev.slipway.SettingSource.Value;
import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.LocalNames;
import dev.slipway.dns.Zone;
import dev.slipway.dns.ZoneRecord;
import dev.slipway.host.ResolverSettings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Reads the settings of names and leases. */
final class NameSettings {

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
                zones());
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
}
