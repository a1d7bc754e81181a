package dev.slipway.dns;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.NameResolver;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.DropReason;
import java.lang.foreign.MemorySegment;

/** Answers the queries of one stack's guest. Belongs to the thread that owns the stack. */
public final class NameServer {

    /** Without id and flags nobody knows whom to tell, or whether it was a question at all. */
    private static final int MIN_READABLE = 4;

    private static final int OPCODE = 0x7800;
    private static final byte[] NO_ANSWER = {};

    private final NameResolver resolver;
    private final DropCounters drops;
    private final LocalNames names;
    private final int maxOutstanding;
    private final DnsMessage query = new DnsMessage();
    private int outstanding;

    /**
     * A name server.
     *
     * @param resolver asked for all names that are not internal ones
     * @param drops counts malformed messages ({@link DropReason#DNS}) and queries over the limit ({@link
     *     DropReason#DNS_LIMIT})
     */
    public NameServer(StackSettings settings, NameResolver resolver, DropCounters drops) {
        this(settings, new LocalNames(settings, new LeaseTable(settings)), resolver, drops);
    }

    /** The same, with names that other stacks have as well. */
    public NameServer(StackSettings settings, LocalNames names, NameResolver resolver, DropCounters drops) {
        this.resolver = resolver;
        this.drops = drops;
        this.names = names;
        this.maxOutstanding = settings.limits().dnsQueries();
    }

    /**
     * Answers a query. Errors and internal names are answered from within this call; all else later, when the resolver
     * answers. A message that is no query is dropped, and its answer never comes.
     *
     * @param stream whether it came over TCP; if not, an answer longer than the client takes is shortened
     * @param answer hears at most once, and owns the array it is given
     * @return whether there is an answer, now or later
     */
    public boolean query(MemorySegment message, long offset, int length, boolean stream, NameResolver.Answer answer) {
        byte[] response = check(message, offset, length);
        if (response == NO_ANSWER) {
            return false;
        }
        if (response != null) {
            answer.answered(response);
            return true;
        }
        if (outstanding >= maxOutstanding) {
            drops.count(DropReason.DNS_LIMIT);
            answer.answered(query.respond(DnsMessage.REFUSED));
            return true;
        }
        outstanding++;
        resolver.resolve(query, stream, new Pending(query.own(), stream, answer));
        return true;
    }

    /** What can be said at once: {@link #NO_ANSWER} if nothing ever, {@code null} if the resolver is to be asked. */
    private byte[] check(MemorySegment message, long offset, int length) {
        if (length < MIN_READABLE) {
            drops.count(DropReason.DNS);
            return NO_ANSWER;
        }
        int id = BigEndian.u16(message, offset);
        int flags = BigEndian.u16(message, offset + 2);
        if ((flags & DnsMessage.FLAG_RESPONSE) != 0) {
            drops.count(DropReason.DNS);
            return NO_ANSWER;
        }
        if (length >= DnsMessage.HEADER_LENGTH && (flags & OPCODE) != 0) {
            return DnsMessage.error(id, flags, DnsMessage.NOTIMP);
        }
        if (query.parse(message, offset, length) != DropReason.NONE) {
            drops.count(DropReason.DNS);
            return DnsMessage.error(id, flags, DnsMessage.FORMERR);
        }
        return names.answer(query);
    }

    /** Whether a name is answered here and not by the resolver. */
    public boolean isLocal(String name) {
        return names.isLocal(name);
    }

    /** Counts a connection that was given up: half a query, what can be none, or answers that nobody took. */
    void countBrokenStream() {
        drops.count(DropReason.DNS);
    }

    /** Queries that the resolver has not answered yet. */
    public int outstanding() {
        return outstanding;
    }

    /** A query that the resolver was asked. */
    private final class Pending implements NameResolver.Answer {

        private final byte[] question;
        private final boolean stream;
        private final NameResolver.Answer answer;
        private boolean answered;

        Pending(byte[] question, boolean stream, NameResolver.Answer answer) {
            this.question = question;
            this.stream = stream;
            this.answer = answer;
        }

        @Override
        public void answered(byte[] response) {
            if (answered) {
                return;
            }
            answered = true;
            outstanding--;
            answer.answered(fit(response));
        }

        /** Gives a response the query's id, and no more bytes than the client takes. */
        private byte[] fit(byte[] response) {
            byte[] fitting = response;
            boolean isMessage = response.length >= DnsMessage.HEADER_LENGTH;
            if (!isMessage || response.length > DnsMessage.MAX_UNNEGOTIATED_LENGTH) {
                DnsMessage original = new DnsMessage();
                original.parse(MemorySegment.ofArray(question), 0, question.length);
                int limit = stream ? DnsMessage.MAX_LENGTH : original.maxUdpLength();
                if (!isMessage) {
                    fitting = original.respond(DnsMessage.SERVFAIL);
                } else if (response.length > limit) {
                    fitting = original.truncate(response);
                }
            }
            fitting[0] = question[0];
            fitting[1] = question[1];
            return fitting;
        }
    }
}
