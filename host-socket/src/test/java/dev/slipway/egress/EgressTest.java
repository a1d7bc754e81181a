package dev.slipway.egress;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.egress.EgressPolicy.Protocol;
import dev.slipway.egress.EgressPolicy.Rule;
import dev.slipway.proxy.HostPatterns;
import dev.slipway.seam.NameResolver;
import dev.slipway.testing.DnsBuilder;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class EgressTest {

    private static final IpAddress ADDRESS = IpAddress.ofV4(0xC633_6407);
    private static final long SECOND = 1_000_000_000L;

    private EgressPolicy policy = allowing("*.example.com");
    private long now;
    private int asked;
    private final Egress egress = new Egress("qemu:/tmp/a.sock", () -> policy, () -> now);
    private final NameResolver resolver = egress.before(this::resolve, Runnable::run);

    private static EgressPolicy allowing(String pattern) {
        Rule rule = new Rule(true, HostPatterns.parse(pattern), List.of(), EnumSet.allOf(Protocol.class), Set.of());
        return new EgressPolicy(false, false, false, List.of(rule));
    }

    /** A resolver that gives every name one address, for a minute. */
    private void resolve(DnsMessage query, boolean stream, NameResolver.Answer answer) {
        asked++;
        answer.answered(query.respond(DnsMessage.TYPE_A, new byte[] {(byte) 198, 51, 100, 7}, 60));
    }

    private int ask(String name) {
        List<byte[]> answers = new ArrayList<>();
        resolver.resolve(DnsBuilder.parsed(query(name)), false, answers::add);
        assertThat(answers).hasSize(1);
        return BigEndian.u16(MemorySegment.ofArray(answers.getFirst()), 2) & 0xF;
    }

    private static byte[] query(String name) {
        return DnsBuilder.query(name, DnsMessage.TYPE_A).message();
    }

    private boolean admits() {
        return egress.admits(ADDRESS, Protocol.TCP, 443);
    }

    @Test
    void anAddressIsAllowedOnceItWasAnsweredForANameThatIs() {
        assertThat(admits()).isFalse();
        assertThat(ask("www.example.com")).isEqualTo(DnsMessage.NOERROR);
        assertThat(admits()).isTrue();
        assertThat(egress.answeredAddresses()).isEqualTo(1);
    }

    @Test
    void aNameThatNoRuleAllowsIsNotAskedFor() {
        assertThat(ask("secret.example.net")).isEqualTo(DnsMessage.REFUSED);
        assertThat(asked).isZero();
        assertThat(egress.namesRefused()).isEqualTo(1);
        policy = new EgressPolicy(false, true, false, policy.rules());
        assertThat(ask("secret.example.net")).isEqualTo(DnsMessage.NOERROR);
        assertThat(admits()).as("an address of a name that no rule allows").isFalse();
    }

    @Test
    void anAnswerHoldsForItsTimeToLiveAndTenMinutes() {
        ask("www.example.com");
        now = 659 * SECOND;
        assertThat(admits()).isTrue();
        now = 661 * SECOND;
        assertThat(admits()).isFalse();
    }

    @Test
    void aPolicyThatChangesHoldsForTheNextConnection() {
        ask("www.example.com");
        assertThat(admits()).isTrue();
        policy = allowing("*.example.org");
        assertThat(admits()).isFalse();
        policy = EgressPolicy.OPEN;
        assertThat(admits()).isTrue();
    }

    @Test
    void whatAGuestBeforeWasToldDoesNotHold() {
        ask("www.example.com");
        egress.forget();
        assertThat(admits()).isFalse();
    }

    @Test
    void namesAreJudgedForThoseWhoReadThem() {
        assertThat(egress.admitsName("www.example.com", Protocol.TCP, 443)).isTrue();
        assertThat(egress.admitsName("www.example.net", Protocol.TCP, 443)).isFalse();
    }

    @Test
    void aConnectionOfTheWebIsAskedForItsHostUnlessItsAddressDecides() {
        Rule address =
                new Rule(true, HostPatterns.parse("198.51.100.8"), List.of(), EnumSet.of(Protocol.TCP), Set.of());
        List<Rule> rules = List.of(address, policy.rules().getFirst());
        policy = new EgressPolicy(false, false, true, rules);
        ask("www.example.com");
        assertThat(egress.asksForName(ADDRESS, Protocol.TCP, 443)).isTrue();
        assertThat(egress.asksForName(IpAddress.ofV4(0xC633_6408), Protocol.TCP, 443))
                .isFalse();
        assertThat(egress.admitsNameless()).isFalse();
        assertThat(egress.denied()).isEqualTo(1);
        policy = new EgressPolicy(true, true, true, rules);
        assertThat(egress.admitsNameless()).isTrue();
        policy = new EgressPolicy(false, false, false, rules);
        assertThat(egress.asksForName(ADDRESS, Protocol.TCP, 443)).isFalse();
    }

    @Test
    void addressesAreBounded() {
        AnsweredNames names = new AnsweredNames();
        for (int i = 0; i < 10_000; i++) {
            names.answered("a.example.com", IpAddress.ofV4(i), 60, 0);
            names.answered("n" + i + ".example.com", ADDRESS, 60, 0);
        }
        assertThat(names.size()).isEqualTo(AnsweredNames.LIMIT);
        assertThat(names.of(ADDRESS, 0)).hasSize(AnsweredNames.NAMES).contains("n9999.example.com");
    }

    @Test
    void answersThatWereNotedHoldLikeThoseThatWereRead() {
        AnsweredNames names = new AnsweredNames();
        long minute = 60_000_000_000L;
        names.note("old.example.com", ADDRESS, 60, 0);
        names.note("new.example.com", ADDRESS, 60, 11 * minute);

        assertThat(names.of(ADDRESS, 11 * minute)).containsExactly("old.example.com", "new.example.com");
        names.note("other.example.com", ADDRESS, 86_400, 11 * minute + 1);
        assertThat(names.of(ADDRESS, 11 * minute + 1)).containsExactly("new.example.com", "other.example.com");

        names.note("gone.example.com", IpAddress.ofV4(1), 60, 12 * minute);
        names.clear();
        assertThat(names.size()).isZero();
    }

    @Test
    void notedAnswersAreBoundedAndTheOldestGo() {
        AnsweredNames names = new AnsweredNames();
        for (int i = 0; i < 10_000; i++) {
            names.note("n" + i + ".example.com", IpAddress.ofV4(i), 60, 0);
        }
        assertThat(names.of(IpAddress.ofV4(9_999), 0)).containsExactly("n9999.example.com");
        assertThat(names.of(IpAddress.ofV4(10_000 - AnsweredNames.LIMIT), 0)).hasSize(1);
        assertThat(names.of(IpAddress.ofV4(9_999 - AnsweredNames.LIMIT), 0)).isEmpty();
        assertThat(names.size()).isEqualTo(AnsweredNames.LIMIT);
    }

    @Test
    void damagedAnswersThrowNothing() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        List<byte[]> answers = new ArrayList<>();
        resolve(DnsBuilder.parsed(query("www.example.com")), false, answers::add);
        for (int i = 0; i < 100_000; i++) {
            byte[] damaged = answers.getFirst().clone();
            for (int hits = random.nextInt(4); hits >= 0; hits--) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
            }
            byte[] cut = java.util.Arrays.copyOf(damaged, random.nextInt(damaged.length + 1));
            try {
                AddressRecords.read(cut, (address, seconds) -> {});
            } catch (RuntimeException e) {
                throw new AssertionError("seed " + seed, e);
            }
        }
    }
}
