package dev.slipway.posix;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Two UDP sockets of the loopback. */
@Timeout(20)
final class DatagramBatchTest {

    private static final int LOOPBACK = 0x7F00_0001;
    private static final int MAX_PAYLOAD = 65_507;

    private final SocketAddress address = new SocketAddress();
    private final MemorySegment memory = Arena.ofAuto().allocate(1 << 20);
    private Sockets sockets;
    private int from = -1;
    private int to = -1;
    private int toPort;

    @BeforeEach
    void open() {
        assumeTrue(Sockets.isSupported(), "Linux on x86-64 or aarch64");
        sockets = new Sockets();
        from = bound();
        to = bound();
        toPort = sockets.localPort(to);
        assertThat(toPort).isPositive().isNotEqualTo(sockets.localPort(from));
        for (int i = 0; i < memory.byteSize(); i++) {
            memory.set(ValueLayout.JAVA_BYTE, i, (byte) (i * 31 + (i >> 8)));
        }
    }

    private int bound() {
        int fd = sockets.open(Sockets.AF_INET, Sockets.SOCK_DGRAM);
        assertThat(fd).isNotNegative();
        assertThat(sockets.bind(fd, address.set(LOOPBACK, 0))).isZero();
        return fd;
    }

    @AfterEach
    void close() {
        if (sockets != null) {
            sockets.close(from);
            sockets.close(to);
        }
    }

    /** Receives some datagrams, in calls of as many as there are. */
    private List<byte[]> receive(ReceiveBatch batch, int count) {
        List<byte[]> datagrams = new ArrayList<>();
        while (datagrams.size() < count) {
            int received = sockets.receive(to, batch);
            assertThat(received)
                    .satisfiesAnyOf(
                            n -> assertThat(n).isPositive(), n -> assertThat(n).isEqualTo(-Errno.EAGAIN));
            assertThat(batch.size()).isEqualTo(Math.max(received, 0));
            for (int i = 0; i < batch.size(); i++) {
                assertThat(batch.source(i)).isEqualTo(LOOPBACK);
                assertThat(batch.sourcePort(i)).isEqualTo(sockets.localPort(from));
                datagrams.add(
                        batch.memory().asSlice(batch.offset(i), batch.length(i)).toArray(ValueLayout.JAVA_BYTE));
            }
        }
        assertThat(sockets.receive(to, batch)).isEqualTo(-Errno.EAGAIN);
        return datagrams;
    }

    private byte[] bytes(long offset, int length) {
        return memory.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE);
    }

    @Test
    void oneCallSendsAllOfABatch() {
        SendBatch batch = new SendBatch(64).to(LOOPBACK, toPort, 0);
        for (int i = 0; i < 40; i++) {
            batch.add(memory, i * 100L, i * 7);
        }
        assertThat(batch.size()).isEqualTo(40);
        assertThat(sockets.send(from, batch, 0)).isEqualTo(40);
        List<byte[]> received = receive(new ReceiveBatch(), 40);
        for (int i = 0; i < 40; i++) {
            assertThat(received.get(i)).isEqualTo(bytes(i * 100L, i * 7));
        }
    }

    /** Runs of one size, shorter ends, empty ones: few messages, and the same datagrams come out in the same order. */
    @Test
    void datagramsOfOneSizeAreOneMessage() {
        int[] lengths = {100, 100, 100, 40, 40, 0, 0, 1_400, 1_400, 1_401, 1_401, 7, 30_000, 30_000, 30_000};
        SendBatch batch = new SendBatch(64).to(LOOPBACK, toPort, MAX_PAYLOAD);
        for (int i = 0; i < lengths.length; i++) {
            batch.add(memory, i * 3_000L, lengths[i]);
        }
        assertThat(batch.size()).isEqualTo(lengths.length);
        assertThat(batch.messages()).isEqualTo(8);
        assertThat(sockets.send(from, batch, 0)).isEqualTo(8);
        List<byte[]> received = receive(new ReceiveBatch(), lengths.length);
        for (int i = 0; i < lengths.length; i++) {
            assertThat(received.get(i)).isEqualTo(bytes(i * 3_000L, lengths[i]));
        }
    }

    @Test
    void aMessageHasNoMoreDatagramsThanEveryKernelTakes() {
        SendBatch batch = new SendBatch(200).to(LOOPBACK, toPort, MAX_PAYLOAD);
        for (int i = 0; i < 200; i++) {
            batch.add(memory, i, 10);
        }
        assertThat(batch.messages()).isEqualTo(4);
        assertThat(sockets.send(from, batch, 0)).isEqualTo(4);
        List<byte[]> received = receive(new ReceiveBatch(), 200);
        for (int i = 0; i < 200; i++) {
            assertThat(received.get(i)).isEqualTo(bytes(i, 10));
        }
    }

    @Test
    void aBatchCanBeSplitInTheMiddle() {
        SendBatch batch = new SendBatch(64).to(LOOPBACK, toPort, MAX_PAYLOAD);
        for (int i = 0; i < 12; i++) {
            batch.add(memory, i, 10 + i / 4);
        }
        assertThat(batch.messages()).isEqualTo(3);
        assertThat(batch.segment(1)).isEqualTo(11);
        batch.split(1);
        assertThat(batch.messages()).isEqualTo(9);
        assertThat(batch.datagrams(0)).isEqualTo(4);
        assertThat(batch.datagrams(1)).isEqualTo(1);
        assertThat(sockets.send(from, batch, 0)).isEqualTo(9);
        List<byte[]> received = receive(new ReceiveBatch(), 12);
        for (int i = 0; i < 12; i++) {
            assertThat(received.get(i)).isEqualTo(bytes(i, 10 + i / 4));
        }
    }

    @Test
    void theRestOfABatchIsSentFromWhereACallStopped() {
        SendBatch batch = new SendBatch(3).to(LOOPBACK, toPort, 0);
        batch.add(memory, 0, 10);
        batch.add(memory, 0, MAX_PAYLOAD + 1);
        batch.add(memory, 7, 20);
        assertThat(batch.isFull()).isTrue();
        assertThat(sockets.send(from, batch, 0)).isEqualTo(1);
        assertThat(sockets.send(from, batch, 1)).isEqualTo(-Errno.EMSGSIZE);
        assertThat(sockets.send(from, batch, 2)).isEqualTo(1);
        assertThat(receive(new ReceiveBatch(), 2)).containsExactly(bytes(0, 10), bytes(7, 20));
    }

    @Test
    void theLargestAndTheEmptyDatagramAreReceivedBesideEachOther() {
        ReceiveBatch slots = new ReceiveBatch();
        int[] lengths = {MAX_PAYLOAD, 0, 1, 0, 9_000};
        for (int round = 0; round < 3; round++) {
            for (int length : lengths) {
                assertThat(sockets.send(from, memory, round, length, address.set(LOOPBACK, toPort)))
                        .isEqualTo(length);
            }
            int at = round;
            assertThat(receive(slots, lengths.length))
                    .containsExactlyElementsOf(Arrays.stream(lengths)
                            .mapToObj(length -> bytes(at, length))
                            .toList());
        }
    }

    @Test
    void aBatchIsUsedAgainForAnotherDestination() {
        SendBatch batch = new SendBatch(2).to(LOOPBACK, sockets.localPort(from), 0);
        batch.add(memory, 0, 1);
        batch.to(LOOPBACK, toPort, 0).add(memory, 50, 5);
        assertThat(batch.size()).isEqualTo(1);
        assertThat(sockets.send(from, batch, 0)).isEqualTo(1);
        assertThat(receive(new ReceiveBatch(), 1)).containsExactly(bytes(50, 5));
    }

    @Test
    void whatWouldPointElsewhereIsRefused() {
        SendBatch batch = new SendBatch(1).to(LOOPBACK, toPort, 0);
        assertThatThrownBy(() -> batch.add(memory, memory.byteSize() - 1, 2))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> batch.add(MemorySegment.ofArray(new byte[4]), 0, 4))
                .hasMessageContaining("native memory");
        assertThatThrownBy(() -> sockets.send(from, batch, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        batch.add(memory, 0, 1);
        assertThatThrownBy(() -> batch.add(memory, 0, 1)).hasMessageContaining("more than 1");
        assertThatThrownBy(() -> new ReceiveBatch().length(0)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> new SendBatch(0)).hasMessageContaining("not 0");
    }
}
