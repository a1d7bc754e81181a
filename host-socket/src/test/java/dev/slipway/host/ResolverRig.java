package dev.slipway.host;

import dev.slipway.ethernet.Transport;
import dev.slipway.testing.DnsBuilder;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** A resolver on an event loop, the files it follows, and name servers that do what a test says. */
final class ResolverRig implements AutoCloseable {

    static final int TOTAL_MILLIS = 1_500;
    static final IpAddress LOCALHOST = IpAddress.ofV4(IpAddress.parseV4("192.168.65.254"));

    final Path conf;
    final Path hosts;
    final List<FakeDnsServer> servers = new ArrayList<>();
    final MultiThreadIoEventLoopGroup group = EventLoops.single(Transport.best(), "resolver-under-test");

    /** What the host's interfaces have. */
    volatile Set<IpAddress> addresses = Set.of(LOCALHOST);

    private HostResolver resolver;

    ResolverRig(Path folder) {
        conf = folder.resolve("resolv.conf");
        hosts = folder.resolve("hosts");
    }

    /** One more server; all have the same port. */
    FakeDnsServer server(String address, Function<byte[], List<byte[]>> behaviour) throws IOException {
        FakeDnsServer server = new FakeDnsServer(address, servers.isEmpty() ? 0 : port(), behaviour);
        servers.add(server);
        return server;
    }

    int port() {
        return servers.getFirst().port();
    }

    HostResolver begin(String resolvConf, boolean cache, String... rules) throws IOException {
        Files.writeString(conf, resolvConf);
        List<DnsRule> parsed = new ArrayList<>();
        for (String rule : rules) {
            parsed.add(DnsRule.parse(rule));
        }
        resolver = new HostResolver(
                group.next(),
                Transport.best(),
                new ResolverPlans(FollowedFile.resolvConf(conf, port()), parsed, ResolverPlans.SystemRules.NONE),
                new FollowedFile<>(hosts, text -> HostsFile.parse(text, LOCALHOST)),
                cache ? Optional.of(new AnswerCache()) : Optional.empty(),
                new HostInterfaces(() -> addresses, System::nanoTime),
                100,
                TOTAL_MILLIS);
        resolver.keepLocalAnswers();
        return resolver;
    }

    CompletableFuture<byte[]> ask(byte[] query) {
        CompletableFuture<byte[]> answer = new CompletableFuture<>();
        group.next().execute(() -> resolver.resolve(DnsBuilder.parsed(query), false, answer::complete));
        return answer;
    }

    byte[] answer(byte[] query) throws Exception {
        return ask(query).get(10, TimeUnit.SECONDS);
    }

    static byte[] query(int id, String name, int type) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(new byte[] {(byte) (id >>> 8), (byte) id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0});
        out.writeBytes(DnsMessage.encodeName(name));
        out.writeBytes(new byte[] {0, (byte) type, 0, 1});
        return out.toByteArray();
    }

    /** A response with one record of the type asked for, whose owner is the name asked for. */
    static byte[] record(byte[] query, int seconds, int... data) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(FakeDnsServer.response(query, 0));
        out.writeBytes(new byte[] {(byte) 0xC0, 12, query[query.length - 4], query[query.length - 3], 0, 1});
        appendTtl(out, seconds);
        out.writeBytes(new byte[] {0, (byte) data.length});
        for (int each : data) {
            out.write(each);
        }
        byte[] response = out.toByteArray();
        response[7] = 1;
        return response;
    }

    /** A "no" with the SOA record that says how long it may be kept. */
    static byte[] no(byte[] query, int code, int seconds) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(FakeDnsServer.response(query, code));
        out.writeBytes(new byte[] {0, 0, 6, 0, 1});
        appendTtl(out, 3_600);
        out.writeBytes(new byte[] {0, 22, 0, 0});
        out.writeBytes(new byte[16]);
        appendTtl(out, seconds);
        byte[] response = out.toByteArray();
        response[9] = 1;
        return response;
    }

    private static void appendTtl(ByteArrayOutputStream out, int seconds) {
        out.writeBytes(
                new byte[] {(byte) (seconds >>> 24), (byte) (seconds >>> 16), (byte) (seconds >>> 8), (byte) seconds});
    }

    static int rcode(byte[] response) {
        return response[3] & 0xF;
    }

    static int answers(byte[] response) {
        return (response[6] & 0xFF) << 8 | response[7] & 0xFF;
    }

    /** The name asked for, as it was written. */
    static String name(byte[] query) {
        StringBuilder name = new StringBuilder();
        for (int at = 12; query[at] != 0; at += 1 + query[at]) {
            name.append(new String(query, at + 1, query[at], java.nio.charset.StandardCharsets.US_ASCII))
                    .append('.');
        }
        return name.toString();
    }

    @Override
    public void close() throws Exception {
        if (resolver != null) {
            group.next().submit(resolver::close).get(5, TimeUnit.SECONDS);
        }
        group.shutdownGracefully(0, 5, TimeUnit.SECONDS).await(10, TimeUnit.SECONDS);
        for (FakeDnsServer server : servers) {
            server.close();
        }
    }
}
