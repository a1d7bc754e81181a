package dev.slipway.dns;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.fuzz.Input;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.NameResolver;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Queue;

/**
 * The name server as a guest sees it, over UDP and over TCP, with a resolver that answers anything at any time. What is
 * answered has the id of what was asked, is a response, and is no longer than who asked takes.
 */
public final class NameServerFuzz {

    private static final int MAX_STEPS = 100;

    private final StackSettings settings = StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS);
    private final LeaseTable leases = new LeaseTable(settings);

    private record Asked(int id, NameResolver.Answer answer) {}

    private final List<Asked> pending = new ArrayList<>();
    private final Queue<Runnable> later = new ArrayDeque<>();
    private final NameServer server;
    private DnsStream stream;
    private long position;
    private boolean over;
    private long now;

    private NameServerFuzz() {
        leases.offer(0x5254_0000_0001L, 0, 1);
        leases.name(0x5254_0000_0001L, "guest");
        LocalNames names = new LocalNames(settings, leases);
        names.add(new Zone("lab.test", List.of(), Optional.of(IpAddress.ofV4(0x0A00_0001))));
        server = new NameServer(
                settings,
                names,
                (query, isStream, answer) -> pending.add(new Asked(query.id(), answer)),
                new DropCounters());
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void fuzzerTestOneInput(byte[] data) {
        Input input = new Input(data);
        NameServerFuzz target = new NameServerFuzz();
        for (int i = 0; i < MAX_STEPS && input.hasMore(); i++) {
            target.step(input);
        }
    }

    private void step(Input input) {
        switch (input.u8() % 6) {
            case 0, 1 -> {
                byte[] query = input.block();
                server.query(
                        MemorySegment.ofArray(query),
                        0,
                        query.length,
                        false,
                        answer -> answered(query, answer, 65_507));
            }
            case 2 -> {
                if (!pending.isEmpty()) {
                    byte[] response = new byte[12 + input.u16()];
                    byte[] given = input.block();
                    System.arraycopy(given, 0, response, 0, Math.min(given.length, response.length));
                    Asked asked = pending.remove(input.u8() % pending.size());
                    // A resolver hands on responses to what it was asked, and nothing else of them is known.
                    response[0] = (byte) (asked.id >>> 8);
                    response[1] = (byte) asked.id;
                    response[2] |= (byte) 0x80;
                    asked.answer.answered(response);
                }
            }
            case 3 -> write(input);
            case 4 -> read();
            default -> {
                now += 1L << input.u8() % 40;
                if (stream != null && !over) {
                    stream.expire(now);
                }
            }
        }
        while (!later.isEmpty()) {
            later.remove().run();
        }
        check(server.outstanding() == pending.size(), server.outstanding() + " of " + pending.size() + " queries wait");
    }

    private static void answered(byte[] query, byte[] answer, int most) {
        check(answer.length >= 12 && answer.length <= most, "an answer of " + answer.length + " bytes");
        check((answer[2] & 0x80) != 0, "no response");
        check(answer[0] == query[0] && answer[1] == query[1], "an answer to another query");
    }

    private void write(Input input) {
        if (stream == null || over) {
            over = false;
            position = 0;
            stream = new DnsStream(server, new Ends(), later::add);
            return;
        }
        byte[] bytes = input.block();
        int length = Math.min(bytes.length, stream.room());
        if (length > 0) {
            stream.write(MemorySegment.ofArray(Arrays.copyOf(bytes, length)), 0, length);
        } else if (bytes.length == 0) {
            stream.shutdownOutput();
        }
        stream.flush();
        check(stream.room() >= 0, "less room than none");
    }

    private void read() {
        if (stream == null || over) {
            return;
        }
        byte[] target = new byte[4_096];
        int count = stream.peek(position, MemorySegment.ofArray(target), 0, target.length);
        check(count >= HostStream.END && count <= target.length, "a peek of " + count);
        if (count > 0) {
            position += count;
            stream.discard(position);
        } else if (count == HostStream.END) {
            over = true;
            stream.close();
        }
    }

    private final class Ends implements HostStream.Listener {
        @Override
        public void connected() {}

        @Override
        public void failed(HostStream.ConnectFailure failure) {
            throw new AssertionError("failed");
        }

        @Override
        public void readable() {}

        @Override
        public void writable() {}

        @Override
        public void reset() {
            over = true;
        }
    }
}
