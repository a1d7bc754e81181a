package dev.slipway.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** Against a bit for each byte; each byte's value tells where it belongs. */
class OutOfOrderTest {

    private static final long BASE = (1L << 32) - 150; // the sequence numbers wrap in the middle
    private static final int SPACE = 300;
    private static final MemorySegment PAYLOAD = MemorySegment.ofArray(new byte[SPACE]);

    static {
        for (int i = 0; i < SPACE; i++) {
            PAYLOAD.set(ValueLayout.JAVA_BYTE, i, (byte) (i * 31 + 7));
        }
    }

    record Piece(int start, int length) {}

    @Provide
    Arbitrary<List<Piece>> pieces() {
        return Combinators.combine(
                        Arbitraries.integers().between(0, SPACE - 30),
                        Arbitraries.integers().between(1, 30))
                .as(Piece::new)
                .list()
                .ofMaxSize(40);
    }

    @Property
    void keepsEachByteOnceAndInOrder(@ForAll("pieces") List<Piece> pieces) {
        OutOfOrder queue = new OutOfOrder();
        BitSet model = new BitSet();
        for (Piece piece : pieces) {
            assertThat(queue.add(BASE + piece.start(), PAYLOAD, piece.start(), piece.length(), 1 << 20))
                    .isTrue();
            model.set(piece.start(), piece.start() + piece.length());
            assertBlocks(queue, model, piece.start());
        }
        BitSet drained = new BitSet();
        long before = -1;
        while (!queue.isEmpty()) {
            long start = queue.firstStart();
            assertThat(start).isGreaterThan(before);
            byte[] bytes = queue.removeFirst();
            for (int i = 0; i < bytes.length; i++) {
                int at = (int) (start - BASE) + i;
                assertThat(drained.get(at)).isFalse();
                drained.set(at);
                assertThat(bytes[i]).isEqualTo((byte) (at * 31 + 7));
            }
            before = start;
        }
        assertThat(drained).isEqualTo(model);
        assertThat(queue.bytes()).isZero();
    }

    @Property
    void neverTakesMoreRoomThanGiven(@ForAll("pieces") List<Piece> pieces) {
        OutOfOrder queue = new OutOfOrder();
        int limit = 500;
        for (Piece piece : pieces) {
            int before = queue.bytes();
            queue.add(BASE + piece.start(), PAYLOAD, piece.start(), piece.length(), limit - before);
            assertThat(queue.bytes()).isBetween(before, limit);
        }
    }

    private static void assertBlocks(OutOfOrder queue, BitSet model, int newest) {
        byte[] written = new byte[32];
        int blocks = queue.writeBlocks(MemorySegment.ofArray(written), 0, 4, 0);
        List<List<Integer>> expected = new ArrayList<>();
        for (int at = model.nextSetBit(0); at >= 0; at = model.nextSetBit(model.nextClearBit(at))) {
            List<Integer> block = List.of((int) (BASE + at), (int) (BASE + model.nextClearBit(at)));
            boolean isNewest = newest >= at && newest < model.nextClearBit(at);
            expected.add(isNewest ? 0 : expected.size(), block);
        }
        assertThat(blocks).isEqualTo(Math.min(4, expected.size()));
        ValueLayout.OfInt bigEndian = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
        for (int i = 0; i < blocks; i++) {
            int left = MemorySegment.ofArray(written).get(bigEndian, 8L * i);
            int right = MemorySegment.ofArray(written).get(bigEndian, 8L * i + 4);
            assertThat(List.of(left, right)).isEqualTo(expected.get(i));
        }
    }

    @Test
    void piecesAreCountedToo() {
        OutOfOrder queue = new OutOfOrder();
        MemorySegment one = MemorySegment.ofArray(new byte[1]);
        boolean all = true;
        for (int i = 0; i < 5_000; i++) {
            all &= queue.add(2L * i, one, 0, 1, 1 << 20);
        }
        assertThat(all).isFalse();
        assertThat(queue.bytes()).isEqualTo(OutOfOrder.MAX_PIECES * (1 + OutOfOrder.PIECE_OVERHEAD));
    }
}
