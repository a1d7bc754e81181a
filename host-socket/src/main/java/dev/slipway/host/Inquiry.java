package dev.slipway.host;

import dev.slipway.seam.NameResolver;
import dev.slipway.wire.DnsMessage;
import java.lang.foreign.MemorySegment;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A question that one or more queries of the guest wait for: identical ones that come while it is under way are joined.
 * Usually one lookup answers it; a host's name with few dots is looked up in the search domains first.
 */
final class Inquiry {

    private final HostResolver resolver;
    private final ResolverPlan plan;
    private final QueryKey key;
    private final byte[] query;
    private DnsMessage parsed;
    private final boolean stream;
    private final boolean inHostsFile;
    private final int firstId;
    private final NameResolver.Answer first;
    /** Those behind the first; usually there are none. */
    private List<Waiting> joined = List.of();

    private final List<String> candidates;
    private final long deadline;
    private int asked;
    private byte[] emptyAnswer;
    private byte[] failure;

    /** Another query of the guest that waits for the same. */
    private record Waiting(int id, NameResolver.Answer answer) {}

    /**
     * @param key what queries have to have in common to be joined to this one
     * @param question the query, parsed; not kept
     * @param inHostsFile whether the name exists, whatever servers say
     * @param deadline when the guest has to be told something
     * @param answer of the first query
     */
    Inquiry(
            HostResolver resolver,
            ResolverPlan plan,
            QueryKey key,
            byte[] query,
            DnsMessage question,
            boolean stream,
            boolean inHostsFile,
            long deadline,
            NameResolver.Answer answer) {
        this.resolver = resolver;
        this.plan = plan;
        this.key = key;
        this.query = query;
        this.stream = stream;
        this.inHostsFile = inHostsFile;
        this.deadline = deadline;
        this.firstId = DnsExchange.id(query);
        this.first = answer;
        String name = question.hostName();
        boolean host = question.type() == DnsMessage.TYPE_A || question.type() == DnsMessage.TYPE_AAAA;
        boolean searchable = host && question.recordClass() == DnsMessage.CLASS_IN && !name.isEmpty();
        candidates = searchable && name.indexOf('\\') < 0 ? plan.candidates(name) : List.of(name);
    }

    QueryKey key() {
        return key;
    }

    ResolverPlan plan() {
        return plan;
    }

    void join(int id, NameResolver.Answer answer) {
        if (joined.isEmpty()) {
            joined = new ArrayList<>();
        }
        joined.add(new Waiting(id, answer));
    }

    int waiting() {
        return 1 + joined.size();
    }

    /** Asks for the next name. */
    void next(long now) {
        String name = candidates.get(asked++);
        boolean asIs = asked == candidates.size();
        byte[] message = asIs ? query : DnsExchange.withName(query, question(), name);
        ResolvConf conf = plan.serversFor(name);
        new Lookup(
                        resolver,
                        message,
                        stream || conf.streamOnly(),
                        (response, server) -> answered(asIs, response, server),
                        resolver.inOrder(conf, now),
                        conf.attempts(),
                        Math.max(1, deadline - now),
                        conf.timeoutSeconds() * 1_000_000_000L)
                .begin(now);
    }

    private DnsMessage question() {
        if (parsed == null) {
            parsed = new DnsMessage();
            parsed.parse(MemorySegment.ofArray(query), 0, query.length);
        }
        return parsed;
    }

    private void answered(boolean asIs, byte[] response, InetSocketAddress server) {
        int code = response[3] & 0xF;
        if (asIs) {
            finish(asIs(response, code, server != null), server, candidates.size() == 1);
            return;
        }
        DnsMessage question = question();
        if (code == DnsMessage.NOERROR && !DnsExchange.isTruncated(response)) {
            List<byte[]> addresses = new ArrayList<>();
            int seconds = Integer.MAX_VALUE;
            DnsRecords records = new DnsRecords(response);
            while (records.next()) {
                if (records.section() == DnsRecords.ANSWER
                        && records.type() == question.type()
                        && records.recordClass() == DnsMessage.CLASS_IN) {
                    addresses.add(
                            Arrays.copyOfRange(response, records.dataAt(), records.dataAt() + records.dataLength()));
                    seconds = Math.min(seconds, records.ttl());
                }
            }
            if (!addresses.isEmpty()) {
                finish(question.respond(question.type(), addresses, seconds), server, true);
                return;
            }
            emptyAnswer = question.respond(DnsMessage.NOERROR);
        } else if (code != DnsMessage.NXDOMAIN) {
            failure = question.respond(DnsMessage.SERVFAIL);
        }
        next(System.nanoTime());
    }

    /** What the guest is told of its own name's answer, when other names or the hosts file say more. */
    private byte[] asIs(byte[] response, int code, boolean fromServer) {
        if (code == DnsMessage.NOERROR) {
            return response;
        }
        if (emptyAnswer != null || inHostsFile && code == DnsMessage.NXDOMAIN) {
            return question().respond(DnsMessage.NOERROR);
        }
        return failure != null && fromServer ? failure : response;
    }

    private void finish(byte[] response, InetSocketAddress server, boolean mayKeep) {
        resolver.finished(this, response, server, mayKeep);
        // Each gets an array of its own.
        for (Waiting each : joined) {
            byte[] own = response.clone();
            DnsExchange.setId(own, each.id);
            each.answer.answered(own);
        }
        DnsExchange.setId(response, firstId);
        first.answered(response);
    }
}
