package dev.slipway.host;

import dev.slipway.wire.DnsMessage;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Answers that may be given again, each for as long as its records may be kept (RFC 2181, section 8; RFC 2308 for those
 * that say no), but for {@value #MAX_SECONDS} s at most, {@value #MAX_NEGATIVE_SECONDS} s if they say no. A query is
 * answered from here only if it is the same byte for byte, id aside.
 *
 * <p>Limits: {@value #MAX_ENTRIES} answers, {@value #MAX_BYTES} bytes of them; beyond, those used longest ago go.
 */
final class AnswerCache {

    static final int MAX_SECONDS = 120;
    static final int MAX_NEGATIVE_SECONDS = 5;
    static final int MAX_ENTRIES = 2_048;
    static final int MAX_BYTES = 1 << 20;

    private static final int TYPE_SOA = 6;
    private static final int TYPE_OPT = 41;
    private static final int TRUNCATED = 0x02;
    private static final int RCODE = 0x0F;

    private final Map<QueryKey, Entry> entries = new LinkedHashMap<>(16, 0.75f, true);
    private int bytes;

    private record Entry(byte[] response, long storedAt, int seconds) {}

    /** The answer to a query with its records as old as they are, or {@code null}; the id is that of another query. */
    byte[] get(QueryKey key, long now) {
        Entry entry = entries.get(key);
        if (entry == null) {
            return null;
        }
        long age = TimeUnit.NANOSECONDS.toSeconds(now - entry.storedAt);
        if (age >= entry.seconds) {
            entries.remove(key);
            bytes -= size(key, entry);
            return null;
        }
        byte[] response = entry.response.clone();
        DnsRecords records = new DnsRecords(response);
        while (records.next()) {
            if (records.type() != TYPE_OPT) {
                records.setTtl((int) Math.max(0, records.ttl() - age));
            }
        }
        return response;
    }

    /** Keeps an answer, if it may be kept. */
    void put(QueryKey key, byte[] response, long now) {
        int seconds = secondsToKeep(response);
        if (seconds <= 0 || response.length > MAX_BYTES / 16) {
            return;
        }
        Entry entry = new Entry(response.clone(), now, seconds);
        Entry before = entries.put(key, entry);
        bytes += size(key, entry) - (before == null ? 0 : size(key, before));
        Iterator<Map.Entry<QueryKey, Entry>> oldest = entries.entrySet().iterator();
        while (entries.size() > MAX_ENTRIES || bytes > MAX_BYTES) {
            Map.Entry<QueryKey, Entry> least = oldest.next();
            bytes -= size(least.getKey(), least.getValue());
            oldest.remove();
        }
    }

    private static int size(QueryKey key, Entry entry) {
        return key.length() + entry.response.length;
    }

    /** How long a response may be kept, in seconds; 0 if it may not. */
    static int secondsToKeep(byte[] response) {
        int code = response[3] & RCODE;
        if ((response[2] & TRUNCATED) != 0 || code != DnsMessage.NOERROR && code != DnsMessage.NXDOMAIN) {
            return 0;
        }
        int least = Integer.MAX_VALUE;
        int negative = 0;
        boolean answered = false;
        DnsRecords records = new DnsRecords(response);
        while (records.next()) {
            if (records.section() == DnsRecords.ANSWER) {
                answered = true;
                least = Math.min(least, records.ttl());
            } else if (records.section() == DnsRecords.AUTHORITY
                    && records.type() == TYPE_SOA
                    && records.dataLength() >= 22) {
                int end = records.dataAt() + records.dataLength();
                int minimum = Math.max(0, records.u16(end - 4) << 16 | records.u16(end - 2));
                negative = Math.min(records.ttl(), minimum);
            }
        }
        if (!records.isWhole()) {
            return 0;
        }
        // An alias whose end does not exist, or has nothing of that type, is kept no longer than any "no".
        boolean says = answered && code == DnsMessage.NOERROR && negative == 0;
        return says ? Math.min(least, MAX_SECONDS) : Math.min(Math.min(least, negative), MAX_NEGATIVE_SECONDS);
    }

    void clear() {
        entries.clear();
        bytes = 0;
    }

    int size() {
        return entries.size();
    }

    int bytes() {
        return bytes;
    }
}
