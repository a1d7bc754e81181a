package dev.slipway.host;

import dev.slipway.fuzz.Input;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/**
 * What name servers of the host answer, and what becomes of it: matched to the query, walked through for records, kept and
 * given again. A kept answer differs from the one that came in times to live alone.
 */
public final class UpstreamAnswersFuzz {

    private UpstreamAnswersFuzz() {}

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void fuzzerTestOneInput(byte[] data) {
        Input input = new Input(data);
        byte[] query = input.block();
        byte[] hosts = input.block();
        long age = 1L << input.u8() % 40;
        byte[] response = input.rest();
        DnsMessage question = new DnsMessage();
        if (question.parse(MemorySegment.ofArray(query), 0, query.length) != DropReason.NONE) {
            return;
        }
        byte[] own = question.own();
        HostsAnswer.to(
                question, HostsFile.parse(new String(hosts, StandardCharsets.ISO_8859_1), IpAddress.ofV4(0x7F00_0001)));
        byte[] renamed = DnsExchange.withName(own, question, "a.b-c.test");
        DnsMessage other = new DnsMessage();
        check(
                other.parse(MemorySegment.ofArray(renamed), 0, renamed.length) == DropReason.NONE
                        && other.type() == question.type()
                        && other.hostName().equals("a.b-c.test"),
                "a query for another name is none");
        check(DnsExchange.failure(own, DnsMessage.SERVFAIL).length >= 17, "no failure");
        if (!DnsExchange.isAnswer(own, response)) {
            return;
        }
        DnsExchange.isFailure(response);
        DnsExchange.isTruncated(response);
        DnsRecords records = new DnsRecords(response);
        int count = 0;
        while (records.next()) {
            check(++count <= response.length, "records without end");
            check(
                    records.dataAt() + records.dataLength() <= response.length && records.ttl() >= 0,
                    "a record beyond the end");
        }
        AnswerCache cache = new AnswerCache();
        QueryKey key = new QueryKey(own, false);
        cache.put(key, response, 5);
        check(cache.bytes() >= 0 && cache.bytes() <= AnswerCache.MAX_BYTES, cache.bytes() + " bytes kept");
        byte[] kept = cache.get(key, 5 + age);
        if (kept != null) {
            check(kept.length == response.length, "another length");
            check(AnswerCache.secondsToKeep(response) <= AnswerCache.MAX_SECONDS, "kept for too long");
            check(DnsExchange.isAnswer(own, kept), "what is kept answers something else");
        }
    }
}
