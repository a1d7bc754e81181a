package dev.slipway.dns;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.DnsAssert;
import dev.slipway.testing.DnsBuilder;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.DropReason;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

final class DnsStreamTest {

    private static final int A = 1;

    private final DropCounters drops = new DropCounters();
    private final RecordingResolver resolver = new RecordingResolver();
    private final NameServer server = new NameServer(StackSettings.defaults(), resolver, drops);
    private final Queue<Runnable> later = new ArrayDeque<>();
    private final List<String> events = new ArrayList<>();
    private DnsStream stream;
    private long position;
    private long now;

    private final class Events implements HostStream.Listener {

        private void heard(String event) {
            events.add(event);
        }

        @Override
        public void connected() {
            heard("connected");
        }

        @Override
        public void failed(HostStream.ConnectFailure failure) {
            heard("failed");
        }

        @Override
        public void readable() {
            heard("readable");
        }

        @Override
        public void writable() {
            heard("writable");
        }

        @Override
        public void reset() {
            heard("reset");
        }
    }

    @BeforeEach
    void connect() {
        stream = new DnsStream(server, new Events(), later::add);
        assertThat(events).as("nothing from within the constructor").isEmpty();
        assertThat(turn()).containsExactly("connected");
    }

    /** Runs what was put off and returns the events it brought. */
    private List<String> turn() {
        events.clear();
        while (!later.isEmpty()) {
            later.remove().run();
        }
        return List.copyOf(events);
    }

    private void write(byte[] bytes) {
        events.clear();
        stream.write(PacketBuilder.segment(bytes), 0, bytes.length);
        stream.flush();
        assertThat(events).as("nothing from within a method").isEmpty();
    }

    /** Takes all that can be read, in pieces, discarding as an acknowledging guest does. */
    private byte[] read() {
        ByteArrayOutputStream read = new ByteArrayOutputStream();
        MemorySegment buffer = MemorySegment.ofArray(new byte[1_000]);
        for (int n = stream.peek(position, buffer, 3, 700); n > 0; n = stream.peek(position, buffer, 3, 700)) {
            read.writeBytes(buffer.asSlice(3, n).toArray(ValueLayout.JAVA_BYTE));
            position += n;
        }
        stream.discard(position);
        return read.toByteArray();
    }

    private List<byte[]> messages() {
        List<byte[]> messages = new ArrayList<>();
        ByteBuffer bytes = ByteBuffer.wrap(read());
        while (bytes.hasRemaining()) {
            byte[] message = new byte[bytes.getShort() & 0xFFFF];
            bytes.get(message);
            messages.add(message);
        }
        return messages;
    }

    private boolean atEnd() {
        return stream.peek(position, MemorySegment.ofArray(new byte[9]), 0, 9) == HostStream.END;
    }

    private static byte[] response(RecordingResolver.Asked asked) {
        return DnsBuilder.query("example.com", A)
                .id(asked.id())
                .flags(0x8180)
                .answerA(0x01020304)
                .message();
    }

    private void seconds(int count) {
        for (int i = 0; i < count; i++) {
            now += TimeUnit.SECONDS.toNanos(1);
            stream.expire(now);
        }
    }

    @Test
    void internalNameIsAnswered() {
        write(DnsBuilder.query("host.docker.internal", A).id(3).prefixed());
        assertThat(turn()).contains("readable", "writable");
        assertThat(stream.taken()).isEqualTo(position + 2 + 12 + 26);
        List<byte[]> answers = messages();
        assertThat(answers).hasSize(1);
        DnsAssert.of(answers.getFirst()).hasId(3).hasAnswer("host.docker.internal.", A, "192.168.65.254");
        assertThat(atEnd()).isFalse();
    }

    @Test
    void pipelinedQueriesAreAnsweredInAnyOrder() {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (int id = 1; id <= 5; id++) {
            all.writeBytes(DnsBuilder.query("example.com", A).id(id).prefixed());
        }
        write(all.toByteArray());
        assertThat(resolver.asked).hasSize(5).allMatch(RecordingResolver.Asked::stream);
        for (int i : new int[] {4, 0, 2, 1, 0}) {
            RecordingResolver.Asked asked = resolver.asked.remove(i);
            asked.answer().answered(response(asked));
        }
        assertThat(turn()).contains("readable");
        assertThat(messages().stream().map(m -> (int) m[1]).toList()).containsExactly(5, 1, 4, 3, 2);
    }

    @Test
    void queryInPiecesIsOneQuery() {
        for (byte octet : DnsBuilder.query("host.internal", A).prefixed()) {
            assertThat(messages()).isEmpty();
            write(new byte[] {octet});
        }
        assertThat(messages()).hasSize(1);
    }

    @Test
    void peekedBytesStayUntilDiscarded() {
        write(DnsBuilder.query("host.internal", A).prefixed());
        MemorySegment once = MemorySegment.ofArray(new byte[500]);
        MemorySegment again = MemorySegment.ofArray(new byte[500]);
        int length = stream.peek(0, once, 0, 500);
        assertThat(stream.peek(0, again, 0, 500)).isEqualTo(length);
        assertThat(again.mismatch(once)).isEqualTo(-1);
        stream.discard(10);
        assertThat(stream.peek(10, again, 0, 500)).isEqualTo(length - 10);
        assertThat(again.asSlice(0, length - 10).mismatch(once.asSlice(10, length - 10)))
                .isEqualTo(-1);
        assertThatThrownBy(() -> stream.peek(9, again, 0, 1)).hasMessageContaining("position 9");
        assertThatThrownBy(() -> stream.discard(length + 1)).hasMessageContaining("output's end");
    }

    @Test
    void halfCloseIsAnsweredAfterTheLastQuery() {
        write(DnsBuilder.query("example.com", A).prefixed());
        stream.shutdownOutput();
        assertThat(turn()).contains("writable");
        assertThat(stream.isOutputShutdown()).isTrue();
        assertThat(atEnd()).isFalse();
        RecordingResolver.Asked asked = resolver.next();
        asked.answer().answered(response(asked));
        assertThat(turn()).contains("readable");
        assertThat(messages()).hasSize(1);
        assertThat(atEnd()).isTrue();
        stream.close();
        assertThat(turn()).isEmpty();
        assertThat(drops.total()).isZero();
    }

    @Test
    void halfAQueryAtTheEndIsCounted() {
        write(new byte[] {0, 40, 1, 2, 3});
        stream.shutdownOutput();
        turn();
        assertThat(atEnd()).isTrue();
        assertThat(drops.get(DropReason.DNS)).isEqualTo(1);
    }

    @Test
    void impossibleLengthResetsAndIsCounted() {
        for (int length : new int[] {0, 1, 11}) {
            stream = new DnsStream(server, new Events(), later::add);
            turn();
            write(new byte[] {0, (byte) length});
            assertThat(turn()).containsSubsequence("reset").doesNotContain("readable");
            assertThat(stream.isClosed()).isTrue();
            assertThat(stream.room()).isZero();
            assertThat(stream.peek(0, MemorySegment.ofArray(new byte[1]), 0, 1)).isZero();
        }
        assertThat(drops.get(DropReason.DNS)).isEqualTo(3);
    }

    @Test
    void guestThatSendsAnswersIsReset() {
        write(DnsBuilder.query("example.com", A).flags(0x8180).prefixed());
        assertThat(turn()).contains("reset");
        assertThat(drops.get(DropReason.DNS)).isEqualTo(1);
    }

    @Test
    void malformedQueryIsAnsweredAndTheNextIsServed() {
        write(PacketBuilder.join(
                DnsBuilder.query("a.b", A).questionCount(2).prefixed(),
                DnsBuilder.query("host.internal", A).prefixed()));
        List<byte[]> answers = messages();
        assertThat(answers).hasSize(2);
        DnsAssert.of(answers.get(0)).hasCode(1);
        DnsAssert.of(answers.get(1)).hasCode(0);
    }

    @Test
    void floodFillsTheBufferAndNoMore() {
        byte[] query = DnsBuilder.query("example.com", A).prefixed();
        int sent = 0;
        while (stream.room() >= query.length) {
            int room = stream.room();
            write(query);
            sent++;
            assertThat(stream.room()).as("what was promised holds").isGreaterThanOrEqualTo(room - query.length);
            assertThat(sent).isLessThan(5_000);
        }
        write(Arrays.copyOf(query, stream.room()));
        assertThat(stream.room()).isZero();
        assertThatThrownBy(() -> write(new byte[1])).isInstanceOf(IllegalStateException.class);
        assertThat(resolver.asked).hasSize(DnsStream.MAX_OUTSTANDING);
        turn();
        RecordingResolver.Asked asked = resolver.next();
        asked.answer().answered(response(asked));
        assertThat(turn()).contains("readable", "writable");
        assertThat(stream.room()).isEqualTo(query.length);
        assertThat(resolver.asked).hasSize(DnsStream.MAX_OUTSTANDING);
    }

    @Test
    void guestThatReadsNoAnswersIsNotServedMore() {
        byte[] query = DnsBuilder.query("host.internal", A).prefixed();
        int answered = 0;
        while (stream.room() >= query.length) {
            write(query);
            answered++;
        }
        turn();
        MemorySegment buffer = MemorySegment.ofArray(new byte[1 << 20]);
        assertThat(stream.peek(0, buffer, 0, 1 << 20)).isLessThan(DnsStream.MAX_UNREAD + 200);
        int served = 0;
        for (int i = 0; i < answered; i++) {
            int batch = messages().size();
            served += batch;
            if (batch == 0) {
                break;
            }
        }
        assertThat(served).isEqualTo(answered);
    }

    @Test
    void longestMessageBothWays() {
        byte[] padding = new byte[65_535 - 12 - 17];
        byte[] query =
                DnsBuilder.query("example.com", A).raw(new int[padding.length]).prefixed();
        assertThat(query).hasSize(2 + 65_535);
        assertThat(stream.room()).isGreaterThanOrEqualTo(query.length);
        write(query);
        byte[] answer = Arrays.copyOf(response(resolver.asked.getFirst()), 65_535);
        resolver.next().answer().answered(answer);
        assertThat(messages()).hasSize(1).first().isEqualTo(answer);
    }

    @Test
    void idleConnectionIsEndedInOrderThenReset() {
        seconds(DnsStream.IDLE_SECONDS);
        assertThat(atEnd()).isFalse();
        seconds(2);
        assertThat(turn()).containsExactly("readable");
        assertThat(atEnd()).isTrue();
        write(DnsBuilder.query("host.internal", A).prefixed());
        turn();
        assertThat(atEnd())
                .as("too late, and said so by the end that stands there")
                .isTrue();
        seconds(DnsStream.IDLE_SECONDS + 2);
        assertThat(turn()).containsExactly("reset");
        assertThat(drops.total()).as("an idle connection is nobody's fault").isZero();
    }

    @Test
    void incompleteQueryIsResetAfterATimeAndCounted() {
        write(new byte[] {(byte) 0xFF, (byte) 0xFF});
        turn();
        seconds(DnsStream.STALLED_SECONDS);
        assertThat(stream.isClosed()).isFalse();
        seconds(2);
        assertThat(turn()).containsExactly("reset");
        assertThat(drops.get(DropReason.DNS)).isEqualTo(1);
    }

    @Test
    void waitingForTheResolverIsNotIdle() {
        write(DnsBuilder.query("example.com", A).prefixed());
        seconds(600);
        assertThat(stream.isClosed()).isFalse();
        assertThat(atEnd()).isFalse();
    }

    @Test
    void answersAfterTheEndAreLost() {
        write(DnsBuilder.query("example.com", A).prefixed());
        stream.reset();
        RecordingResolver.Asked asked = resolver.next();
        asked.answer().answered(response(asked));
        stream.expire(now);
        seconds(100);
        assertThat(turn()).as("no event after reset").isEmpty();
        assertThat(server.outstanding()).isZero();
    }

    @Test
    void anyCuttingOfTheStreamGivesTheSameAnswers() {
        long seed = 7766;
        Random random = new Random(seed);
        ByteArrayOutputStream sent = new ByteArrayOutputStream();
        for (int id = 0; id < 400; id++) {
            sent.writeBytes(DnsBuilder.query(id % 3 == 0 ? "example.com" : "host.internal", A)
                    .id(id)
                    .prefixed());
        }
        byte[] bytes = sent.toByteArray();
        List<Integer> ids = new ArrayList<>();
        int at = 0;
        for (int step = 0; ids.size() < 400; step++) {
            assertThat(step).as("seed %d", seed).isLessThan(20_000);
            int count = Math.min(Math.min(random.nextInt(300), stream.room()), bytes.length - at);
            write(Arrays.copyOfRange(bytes, at, at + count));
            at += count;
            while (!resolver.asked.isEmpty() && random.nextInt(3) > 0) {
                RecordingResolver.Asked asked = resolver.asked.remove(random.nextInt(resolver.asked.size()));
                asked.answer().answered(response(asked));
            }
            if (random.nextBoolean()) {
                messages().forEach(m -> ids.add((m[0] & 0xFF) << 8 | m[1] & 0xFF));
            }
            turn();
        }
        assertThat(ids).doesNotHaveDuplicates();
        assertThat(stream.taken()).isEqualTo(bytes.length);
    }
}
