package dev.slipway.host;

import static dev.slipway.host.ResolverRig.answers;
import static dev.slipway.host.ResolverRig.no;
import static dev.slipway.host.ResolverRig.query;
import static dev.slipway.host.ResolverRig.rcode;
import static dev.slipway.host.ResolverRig.record;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Where an answer comes from: hosts file, cache, search domains, the server of a domain. */
@Tag("transport")
@Timeout(60)
final class ResolverSourcesTest {

    private static final int A = DnsMessage.TYPE_A;
    private static final int AAAA = DnsMessage.TYPE_AAAA;
    private static final int TXT = 16;

    @TempDir
    Path folder;

    private ResolverRig rig;

    @BeforeEach
    void start() {
        rig = new ResolverRig(folder);
    }

    @AfterEach
    void stop() throws Exception {
        rig.close();
    }

    private static byte[] noSuchName(byte[] query) {
        return FakeDnsServer.response(query, DnsMessage.NXDOMAIN);
    }

    // ---- the hosts file

    @Test
    void hostsFileIsAnsweredFromAndFollowed() throws Exception {
        FakeDnsServer server = rig.server("127.0.0.1", query -> List.of(noSuchName(query)));
        Files.writeString(rig.hosts, "10.0.0.1 db.corp.test DB # comment\n10.0.0.2 db.corp.test\nnonsense\n");
        HostResolver resolver = rig.begin("nameserver 127.0.0.1", true);
        byte[] both = rig.answer(query(7, "DB.corp.test", A));
        assertThat(DnsExchange.id(both)).isEqualTo(7);
        assertThat(answers(both)).isEqualTo(2);
        assertThat(both).endsWith(10, 0, 0, 2);
        assertThat(rig.answer(query(7, "db", A))).endsWith(10, 0, 0, 1);
        assertThat(answers(rig.answer(query(7, "db", AAAA)))).isZero();
        assertThat(rig.answer(query(7, "1.0.0.10.in-addr.arpa", DnsMessage.TYPE_PTR)))
                .endsWith(DnsMessage.encodeName("db.corp.test"));
        assertThat(server.queries).isEmpty();
        assertThat(resolver.counters().hostsFile()).isEqualTo(4);

        Path next = Files.writeString(folder.resolve("next"), "10.0.0.9 db");
        Files.move(next, rig.hosts, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        Waiting.until(() -> rig.answer(query(7, "db", A))[3 + query(7, "db", A).length + 12] == 9);
        Files.delete(rig.hosts);
        Waiting.until(() -> rcode(rig.answer(query(7, "db", A))) == DnsMessage.NXDOMAIN);
    }

    @Test
    void loopbackInTheHostsFileMeansTheHostAndLocalhostNobody() throws Exception {
        rig.server("127.0.0.1", query -> List.of(noSuchName(query)));
        Files.writeString(
                rig.hosts, "127.0.0.1 localhost app.test\n::1 localhost ip6-localhost six.test\n127.0.1.1 me");
        rig.begin("nameserver 127.0.0.1", true);
        for (String name : List.of("app.test", "six.test", "me")) {
            assertThat(rig.answer(query(1, name, A))).as(name).endsWith(192, 168, 65, 254);
        }
        assertThat(rcode(rig.answer(query(1, "localhost", A)))).isEqualTo(DnsMessage.NXDOMAIN);
        assertThat(HostsFile.parse("127.0.0.1 app.test", null).addressesOf("app.test"))
                .isEmpty();
    }

    @Test
    void nameOfTheHostsFileIsNeverSaidNotToExist() throws Exception {
        rig.server("127.0.0.1", query -> List.of(noSuchName(query)));
        Files.writeString(rig.hosts, "10.0.0.1 db.test");
        rig.begin("nameserver 127.0.0.1", true);
        byte[] answer = rig.answer(query(1, "db.test", TXT));
        assertThat(rcode(answer)).isZero();
        assertThat(answers(answer)).isZero();
        assertThat(rcode(rig.answer(query(1, "other.test", TXT)))).isEqualTo(DnsMessage.NXDOMAIN);
    }

    // ---- search domains

    @Test
    void nameWithoutDotsIsLookedUpInTheSearchDomains() throws Exception {
        FakeDnsServer server = rig.server("127.0.0.1", query -> switch (ResolverRig.name(query)) {
            case "intranet.b.test." -> List.of(record(query, 30, 10, 0, 0, 7));
            default -> List.of(noSuchName(query));
        });
        rig.begin("nameserver 127.0.0.1\nsearch a.test B.test.", true);
        byte[] query = query(77, "Intranet", A);
        byte[] answer = rig.answer(query);
        assertThat(answer).startsWith(0, 77).endsWith(10, 0, 0, 7);
        assertThat(java.util.Arrays.copyOfRange(answer, 12, query.length))
                .as("the question as it was asked")
                .isEqualTo(java.util.Arrays.copyOfRange(query, 12, query.length));
        assertThat(server.queries)
                .extracting(ResolverRig::name)
                .containsExactly("intranet.a.test.", "intranet.b.test.");
        server.queries.clear();
        assertThat(rcode(rig.answer(query(1, "nobody", A)))).isEqualTo(DnsMessage.NXDOMAIN);
        assertThat(server.queries)
                .extracting(ResolverRig::name)
                .containsExactly("nobody.a.test.", "nobody.b.test.", "nobody.");
        server.queries.clear();
        rig.answer(query(1, "with.dots", A));
        rig.answer(query(1, "text", TXT));
        assertThat(server.queries).extracting(ResolverRig::name).containsExactly("with.dots.", "text.");
    }

    @Test
    void emptyAnswerOfASearchDomainStaysOneIfNobodyHasMore() throws Exception {
        rig.server(
                "127.0.0.1",
                query -> List.of(
                        ResolverRig.name(query).equals("six.a.test.")
                                ? no(query, DnsMessage.NOERROR, 60)
                                : noSuchName(query)));
        rig.begin("nameserver 127.0.0.1\nsearch a.test", true);
        assertThat(rcode(rig.answer(query(1, "six", A)))).isEqualTo(DnsMessage.NOERROR);
        assertThat(rcode(rig.answer(query(1, "seven", A)))).isEqualTo(DnsMessage.NXDOMAIN);
    }

    @Test
    void silenceInASearchDomainEndsInServfailInTime() throws Exception {
        rig.server("127.0.0.1", query -> List.of());
        rig.begin("nameserver 127.0.0.1\nsearch a.test b.test\noptions attempts:1", true);
        long start = System.nanoTime();
        assertThat(rcode(rig.answer(query(1, "nobody", A)))).isEqualTo(DnsMessage.SERVFAIL);
        assertThat(System.nanoTime() - start).isLessThan((ResolverRig.TOTAL_MILLIS + 1_000) * 1_000_000L);
    }

    // ---- split DNS

    @Test
    void domainWithServersOfItsOwnIsAskedThere() throws Exception {
        FakeDnsServer general = rig.server("127.0.0.1", query -> List.of(record(query, 0, 1, 1, 1, 1)));
        FakeDnsServer corp = rig.server("127.0.0.2", query -> List.of(record(query, 0, 2, 2, 2, 2)));
        FakeDnsServer lab = rig.server("127.0.0.3", query -> List.of(record(query, 0, 3, 3, 3, 3)));
        int port = rig.port();
        rig.begin(
                "nameserver 127.0.0.1",
                true,
                "corp.test=127.0.0.2#" + port,
                "Lab.Corp.Test.=127.0.0.3#" + port,
                "10.in-addr.arpa=127.0.0.2#" + port);
        assertThat(rig.answer(query(1, "www.corp.test", A))).endsWith(2, 2, 2, 2);
        assertThat(rig.answer(query(1, "CORP.test", A))).endsWith(2, 2, 2, 2);
        assertThat(rig.answer(query(1, "a.b.lab.corp.test", A))).endsWith(3, 3, 3, 3);
        assertThat(rig.answer(query(1, "xcorp.test", A))).endsWith(1, 1, 1, 1);
        rig.answer(query(1, "1.0.0.10.in-addr.arpa", DnsMessage.TYPE_PTR));
        assertThat(general.queries).hasSize(1);
        assertThat(corp.queries).hasSize(3);
        assertThat(lab.queries).hasSize(1);
    }

    @Test
    void ruleForAllNamesStandsInForTheHostsServers() throws Exception {
        rig.server("127.0.0.1", query -> List.of(record(query, 0, 1, 1, 1, 1)));
        rig.server("127.0.0.2", query -> List.of(record(query, 0, 2, 2, 2, 2)));
        rig.begin("nameserver 127.0.0.1", true, ".=127.0.0.2#" + rig.port());
        assertThat(rig.answer(query(1, "a.test", A))).endsWith(2, 2, 2, 2);
    }

    @Test
    void serversOfTheInternetProtocolVersion6AreAsked() throws Exception {
        rig.server("::1", query -> List.of(record(query, 0, 6, 6, 6, 6)));
        rig.begin("nameserver ::1", true);
        assertThat(rig.answer(query(1, "a.test", A))).endsWith(6, 6, 6, 6);
    }

    // ---- the cache

    @Test
    void answerIsGivenAgainUntilTheResolversChange() throws Exception {
        FakeDnsServer first = rig.server("127.0.0.1", query -> List.of(record(query, 600, 1, 1, 1, 1)));
        FakeDnsServer second = rig.server("127.0.0.2", query -> List.of(record(query, 600, 2, 2, 2, 2)));
        HostResolver resolver = rig.begin("nameserver 127.0.0.1", true);
        for (int id = 1; id < 20; id++) {
            byte[] answer = rig.answer(query(id, "a.test", A));
            assertThat(DnsExchange.id(answer)).isEqualTo(id);
            assertThat(answer).endsWith(1, 1, 1, 1);
        }
        assertThat(first.queries).hasSize(1);
        assertThat(resolver.counters().cached()).isEqualTo(18);
        rig.answer(query(1, "a.test", AAAA));
        assertThat(first.queries).as("another type is another question").hasSize(2);
        Files.writeString(rig.conf, "nameserver 127.0.0.2");
        Waiting.until(() -> rig.answer(query(1, "a.test", A))[query(1, "a.test", A).length + 12] == 2);
        assertThat(second.queries).hasSize(1);
        assertThat(resolver.counters().changes()).isEqualTo(1);
    }

    @Test
    void changeOfTheHostsAddressesMakesAnswersVoid() throws Exception {
        FakeDnsServer server = rig.server("127.0.0.1", query -> List.of(record(query, 600, 1, 1, 1, 1)));
        rig.begin("nameserver 127.0.0.1", true);
        rig.answer(query(1, "a.test", A));
        rig.addresses = Set.of(IpAddress.ofV4(IpAddress.parseV4("10.8.0.2")));
        Waiting.until(() -> {
            rig.answer(query(1, "a.test", A));
            return server.queries.size() == 2;
        });
    }

    @Test
    void withoutACacheEveryQueryIsAsked() throws Exception {
        FakeDnsServer server = rig.server("127.0.0.1", query -> List.of(record(query, 600, 1, 1, 1, 1)));
        rig.begin("nameserver 127.0.0.1", false);
        for (int i = 0; i < 5; i++) {
            rig.answer(query(i, "a.test", A));
        }
        assertThat(server.queries).hasSize(5);
    }

    // ---- queries at the same time

    @Test
    void identicalQueriesUnderWayAreAskedOnce() throws Exception {
        CountDownLatch mayAnswer = new CountDownLatch(1);
        FakeDnsServer server = rig.server("127.0.0.1", query -> {
            try {
                mayAnswer.await();
            } catch (InterruptedException e) {
                return List.of();
            }
            return List.of(record(query, 0, 1, 1, 1, 1));
        });
        HostResolver resolver = rig.begin("nameserver 127.0.0.1", false);
        List<CompletableFuture<byte[]>> answers = new ArrayList<>();
        for (int id = 0; id < 20; id++) {
            answers.add(rig.ask(query(id, "a.test", A)));
        }
        rig.group.next().submit(() -> {}).get(5, TimeUnit.SECONDS);
        mayAnswer.countDown();
        for (int id = 0; id < 20; id++) {
            byte[] answer = answers.get(id).get(10, TimeUnit.SECONDS);
            assertThat(DnsExchange.id(answer)).isEqualTo(id);
            assertThat(answer).endsWith(1, 1, 1, 1);
        }
        assertThat(server.queries).hasSize(1);
        assertThat(resolver.counters().joined()).isEqualTo(19);
        assertThat(resolver.counters().outstanding()).isZero();
        rig.answer(query(1, "a.test", A));
        assertThat(server.queries).hasSize(2);
    }

    @Test
    void deadServerThatIsBackIsAskedFirstAgain() throws Exception {
        boolean[] dead = {true};
        FakeDnsServer first =
                rig.server("127.0.0.1", query -> dead[0] ? List.of() : List.of(record(query, 0, 1, 1, 1, 1)));
        rig.server("127.0.0.2", query -> List.of(record(query, 0, 2, 2, 2, 2)));
        rig.begin("nameserver 127.0.0.1\nnameserver 127.0.0.2", false).tryDeadAfter(1_000_000_000L);
        byte[] query = query(1, "a.test", A);
        for (int i = 0; i < 3; i++) {
            assertThat(rig.answer(query)).endsWith(2, 2, 2, 2);
        }
        int asked = first.queries.size();
        assertThat(rig.answer(query)).endsWith(2, 2, 2, 2);
        assertThat(first.queries).as("is not waited for any more").hasSize(asked);
        dead[0] = false;
        Waiting.until(() -> rig.answer(query)[query.length + 12] == 1);
    }
}
