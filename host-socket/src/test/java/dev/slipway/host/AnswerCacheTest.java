package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.wire.DnsMessage;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

final class AnswerCacheTest {

    private static final int A = DnsMessage.TYPE_A;

    private final AnswerCache cache = new AnswerCache();
    private long now = -7_000_000_000L;

    private static QueryKey key(String name) {
        return new QueryKey(ResolverRig.query(0, name, A), false);
    }

    private byte[] get(String name) {
        return cache.get(key(name), now);
    }

    private void put(String name, byte[] response) {
        cache.put(key(name), response, now);
    }

    private void pass(int seconds) {
        now += TimeUnit.SECONDS.toNanos(seconds);
    }

    private static byte[] record(String name, int seconds) {
        return ResolverRig.record(ResolverRig.query(0, name, A), seconds, 10, 0, 0, 1);
    }

    @Test
    void recordsGetOlderAndGoWhenTheirTimeIsOver() {
        put("a.test", record("a.test", 30));
        assertThat(get("a.test")).isEqualTo(record("a.test", 30));
        pass(12);
        assertThat(get("a.test")).isEqualTo(record("a.test", 18));
        pass(17);
        assertThat(get("a.test")).isEqualTo(record("a.test", 1));
        pass(1);
        assertThat(get("a.test")).isNull();
        assertThat(cache.size()).isZero();
        assertThat(cache.bytes()).isZero();
    }

    @Test
    void nothingIsKeptForLongWhateverItSays() {
        put("a.test", record("a.test", 1_000_000));
        pass(AnswerCache.MAX_SECONDS - 1);
        assertThat(get("a.test")).isNotNull();
        pass(1);
        assertThat(get("a.test")).isNull();
        byte[] no = ResolverRig.no(ResolverRig.query(0, "no.test", A), DnsMessage.NXDOMAIN, 3_600);
        put("no.test", no);
        assertThat(get("no.test")).isEqualTo(no);
        pass(AnswerCache.MAX_NEGATIVE_SECONDS);
        assertThat(get("no.test")).isNull();
    }

    @Test
    void whatMustNotBeKeptIsNot() {
        byte[] query = ResolverRig.query(0, "a.test", A);
        byte[] truncated = record("a.test", 30);
        truncated[2] |= 2;
        byte[] cut = Arrays.copyOf(record("a.test", 30), record("a.test", 30).length - 1);
        for (byte[] response : new byte[][] {
            record("a.test", 0),
            record("a.test", -1),
            truncated,
            cut,
            FakeDnsServer.response(query, DnsMessage.SERVFAIL),
            FakeDnsServer.response(query, DnsMessage.REFUSED),
            FakeDnsServer.response(query, DnsMessage.NXDOMAIN),
            ResolverRig.no(query, DnsMessage.NXDOMAIN, 0),
            FakeDnsServer.response(query, 0)
        }) {
            put("a.test", response);
            assertThat(get("a.test")).as(Arrays.toString(response)).isNull();
        }
    }

    @Test
    void answersAreBoundedAndThoseUsedLongestAgoGo() {
        put("first.test", record("first.test", 60));
        put("second.test", record("second.test", 60));
        for (int i = 0; i < AnswerCache.MAX_ENTRIES - 1; i++) {
            assertThat(get("first.test")).isNotNull();
            put("n" + i + ".test", record("n" + i + ".test", 60));
        }
        assertThat(cache.size()).isEqualTo(AnswerCache.MAX_ENTRIES);
        assertThat(get("first.test")).isNotNull();
        assertThat(get("second.test")).isNull();
        for (int i = 0; i < 100; i++) {
            put("large" + i, Arrays.copyOf(record("large", 60), 60_000));
        }
        assertThat(cache.bytes()).isLessThanOrEqualTo(AnswerCache.MAX_BYTES);
        cache.clear();
        assertThat(cache.size() + cache.bytes()).isZero();
    }

    @Test
    void queriesThatDifferInAnythingButTheirIdAreNotTheSame() {
        byte[] query = ResolverRig.query(1, "a.test", A);
        QueryKey key = new QueryKey(query, false);
        assertThat(new QueryKey(ResolverRig.query(2, "a.test", A), false)).isEqualTo(key);
        assertThat(new QueryKey(query, true)).isNotEqualTo(key);
        for (int i = 2; i < query.length; i++) {
            byte[] other = query.clone();
            other[i] ^= 1;
            assertThat(new QueryKey(other, false)).isNotEqualTo(key);
        }
    }

    @Test
    void anyBytesAtAllEndTheWalkThroughTheRecords() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 20_000; i++) {
            byte[] message = random.nextBoolean() ? record("a.test", 30) : new byte[12 + random.nextInt(80)];
            for (int changes = random.nextInt(20); changes > 0; changes--) {
                message[random.nextInt(message.length)] = (byte) random.nextInt();
            }
            byte[] copy = message.clone();
            assertThat(AnswerCache.secondsToKeep(message)).as("seed " + seed).isBetween(0, AnswerCache.MAX_SECONDS);
            assertThat(message).isEqualTo(copy);
        }
    }
}
