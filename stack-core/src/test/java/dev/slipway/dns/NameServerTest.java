package dev.slipway.dns;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.DropCounters;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.DnsAssert;
import dev.slipway.testing.DnsBuilder;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.DropReason;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class NameServerTest {

    private static final int A = 1;
    private static final int PTR = 12;
    private static final int AAAA = 28;
    private static final int TRUNCATED = 0x0200;
    private static final int AUTHORITATIVE = 0x0400;

    private final StackSettings settings = StackSettings.defaults();
    private final DropCounters drops = new DropCounters();
    private final RecordingResolver resolver = new RecordingResolver();
    private final List<byte[]> answers = new ArrayList<>();
    private NameServer server = new NameServer(settings, resolver, drops);

    private boolean send(byte[] message, boolean stream) {
        MemorySegment bytes = PacketBuilder.segment(message);
        return server.query(bytes, 0, message.length, stream, answers::add);
    }

    private DnsAssert ask(DnsBuilder query) {
        assertThat(send(query.message(), false)).isTrue();
        assertThat(answers).hasSize(1);
        return DnsAssert.of(answers.removeFirst());
    }

    @ParameterizedTest
    @CsvSource({
        "host.docker.internal, 192.168.65.254",
        "host.containers.internal, 192.168.65.254",
        "host.internal, 192.168.65.254",
        "gateway.docker.internal, 192.168.65.1",
        "gateway.containers.internal, 192.168.65.1",
        "gateway.internal, 192.168.65.1",
        "http.docker.internal, 192.168.65.1",
        "HoSt.DoCkEr.InTeRnAl, 192.168.65.254"
    })
    void internalNameHasItsAddress(String name, String address) {
        ask(DnsBuilder.query(name, A).id(0xBEEF))
                .hasId(0xBEEF)
                .hasCode(0)
                .hasFlags(0x8580) // a response, authoritative, recursion desired and available
                .hasQuestion(name + ".", A)
                .hasAnswer(name + ".", A, address)
                .hasNoEdns();
        assertThat(resolver.asked).isEmpty();
    }

    @Test
    void typeThatAnInternalNameLacksIsAnEmptyAnswer() {
        for (int type : new int[] {AAAA, 15, 16, 33, 65, PTR}) {
            ask(DnsBuilder.query("host.docker.internal", type)).hasCode(0).hasNoAnswer();
        }
        ask(DnsBuilder.query("host.docker.internal", 255)).hasAnswer("host.docker.internal.", A, "192.168.65.254");
        ask(DnsBuilder.empty().question(DnsBuilder.encode("host.internal"), A, 3))
                .hasCode(0)
                .hasNoAnswer();
    }

    @Test
    void ownAddressesHaveNames() {
        ask(DnsBuilder.query("254.65.168.192.in-addr.arpa", PTR))
                .hasAnswer("254.65.168.192.in-addr.arpa.", PTR, "host.docker.internal.");
        ask(DnsBuilder.query("1.65.168.192.in-addr.arpa", PTR))
                .hasAnswer("1.65.168.192.in-addr.arpa.", PTR, "gateway.docker.internal.");
        ask(DnsBuilder.query("1.65.168.192.in-addr.arpa", A)).hasCode(0).hasNoAnswer();
    }

    @Test
    void withoutAHostAddressItsNamesHaveNone() {
        StackSettings d = settings;
        server = new NameServer(
                new StackSettings(
                        d.network(),
                        24,
                        d.gateway(),
                        0,
                        d.firstGuest(),
                        d.gatewayMac(),
                        1500,
                        "",
                        List.of(),
                        d.limits()),
                resolver,
                drops);
        ask(DnsBuilder.query("host.docker.internal", A)).hasCode(0).hasNoAnswer();
        ask(DnsBuilder.query("host.docker.internal", 255)).hasCode(0).hasNoAnswer();
    }

    @Test
    void unlistedNamesUnderOurSuffixesAreAskedForOutside() {
        for (String name : List.of(
                "db.docker.internal",
                "docker.internal",
                "internal",
                "x.host.docker.internal",
                "host.docker.internal.internal",
                "3.65.168.192.in-addr.arpa",
                "example.com",
                "")) {
            assertThat(send(DnsBuilder.query(name, A).message(), false)).isTrue();
            assertThat(resolver.asked).as(name).hasSize(1);
            resolver.next();
        }
        assertThat(answers).isEmpty();
    }

    @Test
    void dotsInsideALabelAreNotDotsBetweenLabels() {
        byte[] trick = DnsBuilder.encode("hostXdocker.internal");
        trick[5] = '.';
        assertThat(send(DnsBuilder.empty().question(trick, A, 1).message(), false))
                .isTrue();
        assertThat(resolver.asked).hasSize(1);
    }

    @Test
    void queryAndAnswerPassUnchanged() {
        byte[] query = DnsBuilder.query("Example.COM", 65).id(7).edns(4096).message();
        byte[] answer = DnsBuilder.query("Example.COM", 65)
                .id(7)
                .flags(0x8180)
                .answerText(200)
                .edns(1232)
                .message();
        assertThat(send(query, false)).isTrue();
        assertThat(resolver.asked.getFirst().query()).isEqualTo(query);
        assertThat(server.outstanding()).isEqualTo(1);
        RecordingResolver.Asked asked = resolver.next();
        asked.answer().answered(answer);
        asked.answer().answered(answer); // a resolver that answers twice is heard once
        assertThat(answers).hasSize(1).first().isEqualTo(answer);
        assertThat(server.outstanding()).isZero();
    }

    @Test
    void bytesBehindTheMessageAreNotPassedOn() {
        byte[] query = DnsBuilder.query("example.com", A).message();
        send(Arrays.copyOf(query, query.length + 9), false);
        assertThat(resolver.next().query()).isEqualTo(query);
    }

    @Test
    void answerTakesTheQuerysId() {
        send(DnsBuilder.query("example.com", A).id(0x1111).message(), false);
        resolver.next()
                .answer()
                .answered(DnsBuilder.query("example.com", A)
                        .id(0x2222)
                        .flags(0x8180)
                        .message());
        DnsAssert.of(answers.getFirst()).hasId(0x1111);
    }

    @Test
    void answerTooLongForTheClientIsTruncated() {
        byte[] answer = longAnswer();
        send(DnsBuilder.query("example.com", 16).message(), false);
        resolver.next().answer().answered(answer);
        DnsAssert.of(answers.removeFirst())
                .hasFlags(TRUNCATED | 0x8180)
                .hasNotFlags(AUTHORITATIVE)
                .hasQuestion("example.com.", 16)
                .hasNoAnswer()
                .hasNoEdns();

        send(DnsBuilder.query("example.com", 16).edns(700).message(), false);
        resolver.next().answer().answered(answer);
        assertThat(answers.removeFirst()).as("fits into 700").isEqualTo(answer);

        send(DnsBuilder.query("example.com", 16).edns(100).message(), false);
        resolver.next().answer().answered(answer);
        DnsAssert.of(answers.removeFirst()).hasFlags(TRUNCATED).hasEdns(1232);

        send(DnsBuilder.query("example.com", 16).message(), true);
        resolver.next().answer().answered(answer);
        assertThat(answers.removeFirst()).as("over TCP").isEqualTo(answer);
    }

    private static byte[] longAnswer() {
        byte[] answer = DnsBuilder.query("example.com", 16)
                .flags(0x8180)
                .answerText(255)
                .answerText(250)
                .message();
        assertThat(answer.length).isBetween(513, 700);
        return answer;
    }

    @Test
    void answerOfNoUseIsAServerFailure() {
        send(DnsBuilder.query("example.com", A).message(), false);
        resolver.next().answer().answered(new byte[5]);
        DnsAssert.of(answers.getFirst()).hasCode(2).hasQuestion("example.com.", A);
    }

    @Test
    void tooManyOutstandingQueriesAreRefusedAndCounted() {
        StackSettings.Limits l = settings.limits();
        server = new NameServer(
                settings.withLimits(new StackSettings.Limits(
                        l.tcpFlows(),
                        l.tcpHalfOpen(),
                        l.udpFlows(),
                        l.reassemblyBytes(),
                        l.outOfOrderBytes(),
                        l.outOfOrderTotalBytes(),
                        3,
                        l.connectsPerSecond())),
                resolver,
                drops);
        for (int i = 0; i < 3; i++) {
            send(DnsBuilder.query("example.com", A).message(), false);
        }
        ask(DnsBuilder.query("example.org", A)).hasCode(5).hasQuestion("example.org.", A);
        ask(DnsBuilder.query("host.internal", A)).hasCode(0);
        assertThat(drops.get(DropReason.DNS_LIMIT)).isEqualTo(1);
        resolver.next()
                .answer()
                .answered(DnsBuilder.query("example.com", A).flags(0x8183).message());
        answers.clear();
        send(DnsBuilder.query("example.org", A).message(), false);
        assertThat(answers).isEmpty();
        assertThat(resolver.asked).hasSize(3);
    }

    @Test
    void unknownEdnsVersionIsSaidForOurNames() {
        byte[] query = DnsBuilder.query("host.internal", A).edns(1400).message();
        query[query.length - 5] = 1;
        assertThat(send(query, false)).isTrue();
        byte[] answer = answers.removeFirst();
        DnsAssert.of(answer).hasCode(0).hasNoAnswer().hasEdns(1232);
        assertThat(answer[answer.length - 6]).as("upper bits of BADVERS").isEqualTo((byte) 1);
    }

    @Test
    void otherOpcodesAreNotImplemented() {
        ask(DnsBuilder.query("example.com", 6).flags(0x2800))
                .hasCode(4)
                .hasFlags(0xA800)
                .hasNoQuestion();
    }

    @Test
    void malformedQueriesAreRefusedAndCounted() {
        byte[] loop = {(byte) 0xC0, 12};
        byte[] forward = {1, 'a', (byte) 0xC0, 40};
        byte[] header = {(byte) 0xC0, 0};
        byte[] nul = {3, 'a', 0, 'b', 0};
        byte[] label64 = new byte[67];
        label64[0] = 64;
        byte[] name256 = DnsBuilder.encode(("a".repeat(63) + ".").repeat(3) + "b".repeat(62));
        assertThat(name256).hasSize(256);
        List<byte[]> bad = new ArrayList<>();
        for (byte[] name : List.of(loop, forward, header, nul, label64, name256)) {
            bad.add(DnsBuilder.empty().question(name, A, 1).raw(0, 0, 0, 0).message());
        }
        bad.add(DnsBuilder.query("a.b", A).questionCount(0).message());
        bad.add(DnsBuilder.query("a.b", A).questionCount(2).message());
        bad.add(DnsBuilder.query("a.b", A).questionCount(65_535).message());
        bad.add(DnsBuilder.query("a.b", A).edns(512).edns(512).message());
        bad.add(Arrays.copyOf(DnsBuilder.query("a.b", A).message(), 15));
        bad.add(Arrays.copyOf(DnsBuilder.query("a.b", A).message(), 20));
        bad.add(Arrays.copyOf(DnsBuilder.query("a.b", A).edns(512).message(), 25));
        bad.add(new byte[] {0x12, 0x34, 1, 0});
        for (byte[] message : bad) {
            assertThat(send(message, false)).isTrue();
            DnsAssert.of(answers.removeFirst()).hasId(0x1234).hasCode(1).hasNoQuestion();
        }
        assertThat(drops.get(DropReason.DNS)).isEqualTo(bad.size());
        assertThat(resolver.asked).isEmpty();
    }

    @Test
    void longestNameIsAllowed() {
        byte[] name = DnsBuilder.encode(("a".repeat(63) + ".").repeat(3) + "b".repeat(61));
        assertThat(name).hasSize(255);
        send(DnsBuilder.empty().question(name, A, 1).message(), false);
        assertThat(resolver.asked).hasSize(1);
    }

    @Test
    void whatIsNoQueryIsDropped() {
        assertThat(send(DnsBuilder.query("host.internal", A).flags(0x8180).message(), false))
                .isFalse();
        assertThat(send(new byte[0], false)).isFalse();
        assertThat(send(new byte[] {1, 2, 3}, false)).isFalse();
        assertThat(answers).isEmpty();
        assertThat(drops.get(DropReason.DNS)).isEqualTo(3);
    }

    @Test
    void damagedMessagesNeverThrow() {
        long seed = 59;
        Random random = new Random(seed);
        byte[] good = DnsBuilder.query("host.docker.internal", A)
                .answerA(1)
                .answerText(20)
                .edns(1232)
                .message();
        for (int i = 0; i < 50_000; i++) {
            byte[] bad = Arrays.copyOf(good, random.nextInt(3) == 0 ? random.nextInt(good.length) : good.length);
            for (int j = random.nextInt(6); j >= 0 && bad.length > 0; j--) {
                bad[random.nextInt(bad.length)] = (byte) random.nextInt(256);
            }
            MemorySegment message = MemorySegment.ofArray(bad);
            boolean answered = server.query(message, 0, bad.length, false, response -> DnsAssert.of(response));
            assertThat(answered || bad.length < 4 || bad[2] < 0)
                    .as("seed %d, %d", seed, i)
                    .isTrue();
            if (!resolver.asked.isEmpty()) {
                resolver.next().answer().answered(new byte[0]);
            }
        }
        assertThat(server.outstanding()).isZero();
    }
}
