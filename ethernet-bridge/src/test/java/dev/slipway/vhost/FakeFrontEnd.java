package dev.slipway.vhost;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.posix.Errno;
import dev.slipway.posix.EventSignal;
import dev.slipway.posix.PassedDescriptors;
import dev.slipway.posix.SharedFile;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** A VM manager with its guest's memory: speaks the control protocol as QEMU does, or as nobody should. */
final class FakeFrontEnd implements AutoCloseable {

    /** Where the guest's memory begins for the guest, and for this. */
    static final long GUEST = 0x4000_0000L;

    static final long USER = 0x7f00_0000_0000L;
    static final int MEMORY = 8 << 20;
    /** Memory comes in two regions that lie one behind the other. */
    static final int BORDER = 3 << 20;

    static final int RING = 256;
    private static final long PATIENCE = TimeUnit.SECONDS.toNanos(20);

    final int fd;
    final int memoryFile;
    final MemorySegment memory;
    final int[] kicks = {LinuxFiles.event(), LinuxFiles.event()};
    final int[] calls = {LinuxFiles.event(), LinuxFiles.event()};
    final int[] errors = {LinuxFiles.event(), LinuxFiles.event()};
    ModelDriver toGuest;
    ModelDriver fromGuest;

    private final Arena arena = Arena.ofShared();
    private final Sockets sockets = new Sockets();
    private final EventSignal signals = new EventSignal();
    private final MemorySegment buffer = Arena.ofAuto().allocate(4096, 8);

    FakeFrontEnd(Path socket, boolean sealable) throws IOException {
        memoryFile = LinuxFiles.memory(MEMORY, sealable);
        memory = SharedFile.map(memoryFile, 0, MEMORY, arena);
        fd = sockets.open(Sockets.AF_UNIX, Sockets.SOCK_STREAM);
        assertThat(sockets.connect(fd, new SocketAddress().set(socket))).isZero();
    }

    static byte[] message(int request, int flags, int size, long... words) {
        ByteBuffer bytes = ByteBuffer.allocate(12 + words.length * 8).order(ByteOrder.nativeOrder());
        bytes.putInt(request).putInt(flags).putInt(size);
        for (long word : words) {
            bytes.putLong(word);
        }
        return bytes.array();
    }

    /** Two values of 32 bits as a payload has them. */
    static long pair(long first, long second) {
        return second << 32 | first;
    }

    void send(byte[] bytes, int... descriptors) throws IOException {
        PassedDescriptors.send(fd, bytes, descriptors);
    }

    /** Sends a request to which no answer is wanted. */
    void request(int request, long[] words, int... descriptors) throws IOException {
        send(message(request, 1, words.length * 8, words), descriptors);
    }

    /** Sends a request and returns the first 64 bits of its answer. */
    long ask(int request, long[] words, int... descriptors) throws IOException {
        send(message(request, 1 | 8, words.length * 8, words), descriptors);
        return answer(request);
    }

    /** Waits for the answer to a request: its first 64 bits. */
    long answer(int request) {
        receive(20);
        assertThat(buffer.get(ValueLayout.JAVA_INT, 0)).isEqualTo(request);
        assertThat(buffer.get(ValueLayout.JAVA_INT, 4)).isEqualTo(1 | 4);
        assertThat(buffer.get(ValueLayout.JAVA_INT, 8)).isEqualTo(8);
        return buffer.get(ValueLayout.JAVA_LONG_UNALIGNED, 12);
    }

    private void receive(int length) {
        long until = System.nanoTime() + PATIENCE;
        for (int done = 0; done < length; ) {
            int result = sockets.read(fd, buffer, done, length - done);
            if (result == -Errno.EAGAIN) {
                assertThat(System.nanoTime()).as("an answer in time").isLessThan(until);
                Thread.onSpinWait();
            } else {
                assertThat(result).as("bytes of an answer").isPositive();
                done += result;
            }
        }
    }

    /** Waits for the end of the connection. */
    void awaitEnd() {
        long until = System.nanoTime() + PATIENCE;
        int result = sockets.read(fd, buffer, 0, 1);
        while (result == -Errno.EAGAIN) {
            assertThat(System.nanoTime())
                    .as("the end of the connection in time")
                    .isLessThan(until);
            Thread.onSpinWait();
            result = sockets.read(fd, buffer, 0, 1);
        }
        assertThat(result).isIn(0, -Errno.ECONNRESET);
    }

    // --- the usual order ----------------------------------------------------------------------------------------

    void negotiate(long features) throws IOException {
        assertThat(ask(ControlMessage.GET_FEATURES, new long[] {})).isEqualTo(Features.OFFERED);
        assertThat(ask(ControlMessage.GET_PROTOCOL_FEATURES, new long[] {})).isEqualTo(Features.PROTOCOL_OFFERED);
        request(ControlMessage.SET_PROTOCOL_FEATURES, new long[] {Features.PROTOCOL_OFFERED});
        assertThat(ask(ControlMessage.SET_OWNER, new long[] {})).isZero();
        assertThat(ask(ControlMessage.SET_FEATURES, new long[] {features})).isZero();
    }

    void memoryTable() throws IOException {
        request(
                ControlMessage.SET_MEM_TABLE,
                new long[] {
                    2, GUEST, BORDER, USER, 0, GUEST + BORDER, MEMORY - BORDER, USER + (1L << 40), BORDER,
                },
                memoryFile,
                memoryFile);
    }

    void ring(int index, ModelDriver driver, int base) throws IOException {
        request(ControlMessage.SET_VRING_NUM, new long[] {pair(index, driver.size)});
        request(ControlMessage.SET_VRING_BASE, new long[] {pair(index, base)});
        request(
                ControlMessage.SET_VRING_ADDR,
                new long[] {index, USER + driver.descriptors, USER + driver.used, USER + driver.available, 0});
        request(ControlMessage.SET_VRING_ERR, new long[] {index}, errors[index]);
        request(ControlMessage.SET_VRING_CALL, new long[] {index}, calls[index]);
        request(ControlMessage.SET_VRING_KICK, new long[] {index}, kicks[index]);
    }

    void makeDrivers(long features, int size) {
        boolean events = (features & Features.EVENT_IDX) != 0;
        memory.asSlice(0, 1 << 20).fill((byte) 0);
        toGuest = new ModelDriver(memory, GUEST, 0, size, events);
        fromGuest = new ModelDriver(memory, GUEST, 0x80000, size, events);
    }

    void start(long features) throws IOException {
        negotiate(features);
        memoryTable();
        makeDrivers(features, RING);
        startRings(0, 0);
    }

    void startRings(int toGuestBase, int fromGuestBase) throws IOException {
        ring(0, toGuest, toGuestBase);
        ring(1, fromGuest, fromGuestBase);
        request(ControlMessage.SET_VRING_ENABLE, new long[] {pair(0, 1)});
        assertThat(ask(ControlMessage.SET_VRING_ENABLE, new long[] {pair(1, 1)}))
                .isZero();
    }

    /** Stops a ring: the next entry of the available ring. */
    int stop(int index) throws IOException {
        long state = ask(ControlMessage.GET_VRING_BASE, new long[] {index});
        assertThat((int) state).isEqualTo(index);
        return (int) (state >>> 32);
    }

    void kick(int index) {
        assertThat(signals.signal(kicks[index])).isEqualTo(8);
    }

    /** Whether an eventfd was written to since the last time. */
    boolean wasSignalled(int event) {
        return sockets.read(event, buffer, 0, 8) == 8;
    }

    /** How often an eventfd was written to since the last time. */
    long signals(int event) {
        return wasSignalled(event) ? buffer.get(ValueLayout.JAVA_LONG_UNALIGNED, 0) : 0;
    }

    void awaitSignal(int event, String what) {
        long until = System.nanoTime() + PATIENCE;
        while (!wasSignalled(event)) {
            assertThat(System.nanoTime()).as(what + " in time").isLessThan(until);
            Thread.onSpinWait();
        }
    }

    /** Waits for a used chain as a driver does: asleep until the interrupt. */
    int[] awaitUsed(int index) {
        ModelDriver driver = index == 0 ? toGuest : fromGuest;
        while (!driver.listen()) {
            awaitSignal(calls[index], "an interrupt of ring " + index);
        }
        return driver.takeUsed();
    }

    /** Ends the connection, and nothing else. */
    void hangUp() {
        sockets.close(fd);
    }

    @Override
    public void close() {
        sockets.close(fd);
        for (int[] events : new int[][] {kicks, calls, errors}) {
            sockets.close(events[0]);
            sockets.close(events[1]);
        }
        sockets.close(memoryFile);
        arena.close();
    }
}
