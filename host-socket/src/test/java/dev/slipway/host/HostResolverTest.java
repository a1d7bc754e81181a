package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.ethernet.Transport;
import dev.slipway.testing.DnsBuilder;
import dev.slipway.wire.DnsMessage;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Tag("transport")
@Timeout(60)
final class HostResolverTest {

    private static final int TOTAL_MILLIS = 1_500;

    @TempDir
    Path folder;

    private final List<FakeDnsServer> servers = new ArrayList<>();
    private MultiThreadIoEventLoopGroup group;
    private HostResolver resolver;
    private Path conf;

    @BeforeEach
    void start() {
        group = EventLoops.single(Transport.best(), "resolver-under-test");
        conf = folder.resolve("resolv.conf");
    }

    @AfterEach
    void stop() throws Exception {
        if (resolver != null) {
            group.next().submit(resolver::close).get(5, TimeUnit.SECONDS);
        }
        group.shutdownGracefully(0, 5, TimeUnit.SECONDS).await(10, TimeUnit.SECONDS);
        for (FakeDnsServer server : servers) {
            server.close();
        }
    }

    private FakeDnsServer server(String address, Function<byte[], List<byte[]>> behaviour) throws IOException {
        FakeDnsServer server = new FakeDnsServer(
                address, servers.isEmpty() ? 0 : servers.getFirst().port(), behaviour);
        servers.add(server);
        return server;
    }

    private void begin(String text) throws IOException {
        begin(text, servers.getFirst().port(), 100);
    }

    private void begin(String text, int port, int maxOutstanding) throws IOException {
        if (text != null) {
            Files.writeString(conf, text);
        }
        resolver = new HostResolver(
                group.next(),
                Transport.best(),
                new ResolverPlans(FollowedFile.resolvConf(conf, port), List.of(), ResolverPlans.SystemRules.NONE),
                new FollowedFile<>(folder.resolve("hosts"), written -> HostsFile.parse(written, null)),
                Optional.empty(),
                HostInterfaces.ofThisHost(),
                maxOutstanding,
                TOTAL_MILLIS);
    }

    private static byte[] query(int id, String name) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(new byte[] {(byte) (id >>> 8), (byte) id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0});
        out.writeBytes(DnsMessage.encodeName(name));
        out.writeBytes(new byte[] {0, 64, 0, 1});
        return out.toByteArray();
    }

    private CompletableFuture<byte[]> ask(byte[] query, boolean stream) {
        CompletableFuture<byte[]> answer = new CompletableFuture<>();
        group.next().execute(() -> {
            boolean[] within = {true};
            resolver.resolve(DnsBuilder.parsed(query), stream, response -> {
                if (within[0] || !group.next().inEventLoop() || !answer.complete(response)) {
                    answer.obtrudeException(new AssertionError("answered at a wrong moment, or twice"));
                }
            });
            within[0] = false;
        });
        return answer;
    }

    private byte[] answer(byte[] query, boolean stream) throws Exception {
        return ask(query, stream).get(10, TimeUnit.SECONDS);
    }

    private static int rcode(byte[] response) {
        return response[3] & 0xF;
    }

    @Test
    void anAnswerComesBackByteForByteWithTheGuestsId() throws Exception {
        FakeDnsServer server = server("127.0.0.1", query -> List.of(FakeDnsServer.response(query, 0, 1, 2, 3)));
        begin("nameserver 127.0.0.1");
        byte[] query = query(0x1234, "svc.corp.example");
        assertThat(answer(query, false)).isEqualTo(FakeDnsServer.response(query, 0, 1, 2, 3));
        for (int i = 0; i < 50; i++) {
            answer(query, false);
        }
        assertThat(server.queries.stream().map(DnsExchange::id).distinct()).hasSizeGreaterThan(40);
        assertThat(server.sourcePorts).hasSizeBetween(2, 8);
        assertThat(resolver.counters().answers()).isEqualTo(51);
        assertThat(resolver.counters().outstanding()).isZero();
    }

    @Test
    void noSuchNameIsAnAnswerAndNotAFailure() throws Exception {
        server("127.0.0.1", query -> List.of(FakeDnsServer.response(query, DnsMessage.NXDOMAIN)));
        FakeDnsServer second = server("127.0.0.2", query -> List.of(FakeDnsServer.response(query, 0)));
        begin("nameserver 127.0.0.1\nnameserver 127.0.0.2");
        assertThat(rcode(answer(query(1, "no.example"), false))).isEqualTo(DnsMessage.NXDOMAIN);
        assertThat(second.queries).isEmpty();
    }

    @Test
    void liesAreRejectedAndTheTruthBehindThemIsTaken() throws Exception {
        server("127.0.0.1", query -> {
            byte[] otherId = FakeDnsServer.response(query, 0, 66);
            otherId[1] ^= 1;
            byte[] otherQuestion = FakeDnsServer.response(query, 0, 66);
            otherQuestion[13] ^= 1;
            byte[] otherType = FakeDnsServer.response(query, 0, 66);
            otherType[query.length - 3] ^= 1;
            byte[] noResponse = query.clone();
            byte[] noQuestion = Arrays.copyOf(FakeDnsServer.response(query, 0), 12);
            noQuestion[5] = 0;
            byte[] shortened = Arrays.copyOf(FakeDnsServer.response(query, 0), query.length - 1);
            return List.of(
                    otherId,
                    otherQuestion,
                    otherType,
                    noResponse,
                    noQuestion,
                    shortened,
                    new byte[0],
                    new byte[1],
                    FakeDnsServer.response(query, 0, 1));
        });
        begin("nameserver 127.0.0.1");
        byte[] query = query(7, "a.example");
        assertThat(answer(query, false)).isEqualTo(FakeDnsServer.response(query, 0, 1));
        assertThat(resolver.counters().rejected()).isGreaterThanOrEqualTo(6);
    }

    @Test
    void theCaseOfANameDoesNotMatter() throws Exception {
        server("127.0.0.1", query -> {
            byte[] upper = FakeDnsServer.response(query, 0);
            upper[13] = 'A';
            return List.of(upper);
        });
        begin("nameserver 127.0.0.1");
        assertThat(rcode(answer(query(7, "a.example"), false))).isZero();
        assertThat(resolver.counters().rejected()).isZero();
    }

    @Test
    void aSilentServerIsFollowedByTheNext() throws Exception {
        FakeDnsServer silent = server("127.0.0.1", query -> List.of());
        server("127.0.0.2", query -> List.of(FakeDnsServer.response(query, 0, 2)));
        begin("nameserver 127.0.0.1\nnameserver 127.0.0.2");
        for (int i = 0; i < 3; i++) {
            byte[] query = query(9, "a.example");
            assertThat(answer(query, false)).isEqualTo(FakeDnsServer.response(query, 0, 2));
        }
        assertThat(silent.queries).hasSize(3);
        // Three in a row: from now on the other is asked first.
        answer(query(9, "a.example"), false);
        assertThat(silent.queries).hasSize(3);
        assertThat(resolver.counters().timeouts()).isEqualTo(3);
    }

    @Test
    void aDeadServerIsPassedAtOnce() throws Exception {
        server("127.0.0.2", query -> List.of(FakeDnsServer.response(query, 0, 2)));
        begin("nameserver 127.0.0.1\nnameserver 127.0.0.2");
        byte[] query = query(9, "a.example");
        long start = System.nanoTime();
        for (int i = 0; i < 5; i++) {
            assertThat(answer(query, false)).isEqualTo(FakeDnsServer.response(query, 0, 2));
            assertThat(answer(query, true)).isEqualTo(FakeDnsServer.response(query, 0, 2));
        }
        assertThat(System.nanoTime() - start).isLessThan(TOTAL_MILLIS * 1_000_000L);
        assertThat(resolver.counters().timeouts()).isZero();
    }

    @Test
    void aServerThatCannotAnswerIsFollowedByTheNextAndItsWordIsPassedOnIfNobodyCan() throws Exception {
        server("127.0.0.1", query -> List.of(FakeDnsServer.response(query, DnsMessage.REFUSED)));
        FakeDnsServer second = server(
                "127.0.0.2",
                query -> query[13] == 'x'
                        ? List.of(FakeDnsServer.response(query, DnsMessage.REFUSED, 5))
                        : List.of(FakeDnsServer.response(query, 0, 2)));
        begin("nameserver 127.0.0.1\nnameserver 127.0.0.2");
        assertThat(rcode(answer(query(1, "a.example"), false))).isZero();
        byte[] query = query(1, "x.example");
        assertThat(answer(query, false)).isEqualTo(FakeDnsServer.response(query, DnsMessage.REFUSED, 5));
        assertThat(second.queries).hasSize(2);
    }

    @Test
    void silenceOfAllEndsInServfailInTime() throws Exception {
        server("127.0.0.1", query -> List.of());
        begin("nameserver 127.0.0.1\noptions attempts:3");
        long start = System.nanoTime();
        byte[] response = answer(query(77, "a.example"), false);
        assertThat(rcode(response)).isEqualTo(DnsMessage.SERVFAIL);
        assertThat(DnsExchange.id(response)).isEqualTo(77);
        assertThat(System.nanoTime() - start).isLessThan((TOTAL_MILLIS + 1000) * 1_000_000L);
        assertThat(servers.getFirst().queries).hasSize(3);
        assertThat(resolver.counters().failures()).isEqualTo(1);
    }

    @Test
    void withoutAFileItIsServfailUntilOneAppears() throws Exception {
        server("127.0.0.1", query -> List.of(FakeDnsServer.response(query, 0, 1)));
        begin(null);
        assertThat(rcode(answer(query(1, "a.example"), false))).isEqualTo(DnsMessage.SERVFAIL);
        Files.writeString(conf, "");
        assertThat(rcode(answer(query(1, "a.example"), false))).isEqualTo(DnsMessage.SERVFAIL);
        Files.writeString(conf, "nameserver 127.0.0.1");
        Waiting.until(() -> rcode(answer(query(1, "a.example"), false)) == 0);
    }

    @Test
    void aChangeOfServersIsFollowed() throws Exception {
        server("127.0.0.1", query -> List.of(FakeDnsServer.response(query, 0, 1)));
        server("127.0.0.2", query -> List.of(FakeDnsServer.response(query, 0, 2)));
        begin("nameserver 127.0.0.1");
        byte[] query = query(1, "a.example");
        assertThat(answer(query, false)).endsWith(1);
        Files.writeString(conf, "nameserver 127.0.0.2");
        Waiting.until(() -> answer(query, false)[query.length] == 2);
        assertThat(answer(query, true)).endsWith(2);
    }

    @Test
    void theLongestAnswersPass() throws Exception {
        server("127.0.0.1", query -> {
            byte[] long1 = Arrays.copyOf(FakeDnsServer.response(query, 0), query[13] == 't' ? 65_535 : 65_507);
            return List.of(long1);
        });
        begin("nameserver 127.0.0.1");
        assertThat(answer(query(1, "t.example"), true)).hasSize(65_535);
        assertThat(answer(query(1, "u.example"), false)).hasSize(65_507);
    }

    @Test
    void aTruncatedAnswerIsPassedAsItIs() throws Exception {
        server("127.0.0.1", query -> {
            byte[] truncated = FakeDnsServer.response(query, 0);
            truncated[2] |= 2;
            return List.of(truncated);
        });
        begin("nameserver 127.0.0.1");
        assertThat(answer(query(1, "a.example"), false)[2] & 2).isEqualTo(2);
    }

    @Test
    void aServerThatEndsTheConnectionIsFollowedByTheNext() throws Exception {
        server("127.0.0.1", query -> null);
        server("127.0.0.2", query -> List.of(FakeDnsServer.response(query, 0, 2)));
        begin("nameserver 127.0.0.1\nnameserver 127.0.0.2");
        assertThat(answer(query(1, "a.example"), true)).endsWith(2);
        assertThat(resolver.counters().unreachable()).isEqualTo(1);
        assertThat(resolver.counters().timeouts()).isZero();
    }

    @Test
    void queriesOverTheLimitAreRefused() throws Exception {
        server("127.0.0.1", query -> List.of());
        begin("nameserver 127.0.0.1", servers.getFirst().port(), 10);
        List<CompletableFuture<byte[]>> answers = new ArrayList<>();
        for (int i = 0; i < 15; i++) {
            answers.add(ask(query(i, "a.example"), false));
        }
        int refused = 0;
        for (CompletableFuture<byte[]> each : answers) {
            refused += rcode(each.get(10, TimeUnit.SECONDS)) == DnsMessage.REFUSED ? 1 : 0;
        }
        assertThat(refused).isEqualTo(5);
        assertThat(resolver.counters().refused()).isEqualTo(5);
    }

    @Test
    void manyQueriesAtOnceAreAllAnsweredFromFewSockets() throws Exception {
        server("127.0.0.1", query -> List.of(FakeDnsServer.response(query, 0)));
        begin("nameserver 127.0.0.1", servers.getFirst().port(), 4_096);
        List<CompletableFuture<byte[]>> answers = new ArrayList<>();
        for (int i = 0; i < 150; i++) {
            answers.add(ask(query(i, "n" + i + ".example"), false));
        }
        for (int i = 0; i < answers.size(); i++) {
            assertThat(answers.get(i).get(10, TimeUnit.SECONDS))
                    .isEqualTo(FakeDnsServer.response(query(i, "n" + i + ".example"), 0));
        }
        assertThat(group.next().submit(resolver::openSockets).get()).isLessThanOrEqualTo(8);
    }

    @Test
    void rotateSpreadsTheQueries() throws Exception {
        FakeDnsServer first = server("127.0.0.1", query -> List.of(FakeDnsServer.response(query, 0)));
        FakeDnsServer second = server("127.0.0.2", query -> List.of(FakeDnsServer.response(query, 0)));
        begin("nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions rotate");
        for (int i = 0; i < 10; i++) {
            answer(query(i, "a.example"), false);
        }
        assertThat(first.queries).hasSize(5);
        assertThat(second.queries).hasSize(5);
    }
}
