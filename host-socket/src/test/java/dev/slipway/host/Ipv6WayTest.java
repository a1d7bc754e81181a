package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.NameResolver;
import dev.slipway.testing.DnsBuilder;
import dev.slipway.wire.DnsMessage;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Whether the host has a way out by IPv6, and what becomes of questions for addresses that nobody could use. */
final class Ipv6WayTest {

    private final AtomicLong clock = new AtomicLong(-5);
    private final AtomicBoolean there = new AtomicBoolean();
    private final AtomicInteger looks = new AtomicInteger();
    private final AtomicBoolean unknown = new AtomicBoolean();
    private final Ipv6Way way = new Ipv6Way(
            before -> {
                looks.incrementAndGet();
                return unknown.get() ? before : there.get();
            },
            clock::get);

    @Test
    void hostIsLookedAtOnceASecondHoweverOftenItIsAsked() {
        for (int i = 0; i < 100; i++) {
            assertThat(way.isThere()).isFalse();
        }
        there.set(true);
        clock.addAndGet(Ipv6Way.MAX_AGE_NANOS - 1);
        assertThat(way.isThere()).isFalse();
        assertThat(looks).hasValue(1);
        clock.incrementAndGet();
        assertThat(way.isThere()).isTrue();
        there.set(false);
        clock.addAndGet(Ipv6Way.MAX_AGE_NANOS);
        assertThat(way.isThere()).isFalse();
        assertThat(looks).hasValue(3);
        there.set(true);
        clock.addAndGet(Ipv6Way.MAX_AGE_NANOS);
        assertThat(way.isThere()).isTrue();
        unknown.set(true);
        clock.addAndGet(Ipv6Way.MAX_AGE_NANOS);
        assertThat(way.isThere()).as("what was known holds").isTrue();
    }

    private static byte[] query(int type) {
        byte[] name = DnsMessage.encodeName("www.example.test");
        return ByteBuffer.allocate(12 + name.length + 4)
                .putShort((short) 77)
                .putShort((short) 0x0100)
                .putShort((short) 1)
                .put(new byte[6])
                .put(name)
                .putShort((short) type)
                .putShort((short) 1)
                .array();
    }

    @Test
    void questionsForAddressesThatNobodyCanUseAreAnsweredWithNone() {
        List<byte[]> asked = new ArrayList<>();
        List<byte[]> answers = new ArrayList<>();
        List<Runnable> later = new ArrayList<>();
        ResolverCounters counters = new ResolverCounters();
        NameResolver resolver = (query, stream, answer) -> asked.add(query.own());
        AaaaFilter filter = new AaaaFilter(resolver, () -> !there.get(), later::add, counters);

        filter.resolve(DnsBuilder.parsed(query(DnsMessage.TYPE_AAAA)), false, answers::add);
        assertThat(answers).as("never from within the call").isEmpty();
        later.forEach(Runnable::run);
        assertThat(asked).isEmpty();
        assertThat(counters.withheld()).isEqualTo(1);
        byte[] none = answers.getFirst();
        ByteBuffer header = ByteBuffer.wrap(none);
        assertThat(header.getShort()).isEqualTo((short) 77);
        assertThat(header.getShort() & 0x800F).as("a response without an error").isEqualTo(0x8000);
        assertThat(header.getShort()).as("questions").isEqualTo((short) 1);
        assertThat(header.getShort()).as("answers").isZero();

        filter.resolve(DnsBuilder.parsed(query(DnsMessage.TYPE_A)), false, answers::add);
        there.set(true);
        filter.resolve(DnsBuilder.parsed(query(DnsMessage.TYPE_AAAA)), true, answers::add);
        assertThat(asked).hasSize(2);
        assertThat(DnsBuilder.parsed(asked.getLast()).type()).isEqualTo(DnsMessage.TYPE_AAAA);
        assertThat(counters.withheld()).isEqualTo(1);
    }
}
