package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.wire.Frame;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class CaptureLinkTest {

    private record Packet(Instant time, int length, byte[] bytes) {}

    @TempDir
    Path folder;

    private final StubLink below = new StubLink();
    private final RecordingReceiver above = new RecordingReceiver();
    private final CaptureLink link = new CaptureLink(below);
    private final GuestLink.Receiver tap = link.receiver(above);

    @Test
    void bothDirectionsAreCapturedInOrder() throws IOException {
        Path path = folder.resolve("vm.pcap");
        Instant before = Instant.now();
        link.start(new CaptureFile(path, CaptureFile.WHOLE_PACKETS, 1 << 20));
        byte[] fromGuest = filled(60, 1);
        byte[] toGuest = filled(65_000, 2);

        tap.frame(frame(fromGuest));
        tap.endOfBatch();
        send(toGuest);
        link.flush();

        List<Packet> packets = read(path);
        assertThat(packets).extracting(Packet::bytes).containsExactly(fromGuest, toGuest);
        assertThat(packets.get(0).time())
                .isBetween(before.minus(Duration.ofSeconds(5)), Instant.now().plusSeconds(5));
        assertThat(above.frames).containsExactly(fromGuest);
        assertThat(below.sent).containsExactly(toGuest);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
                .isEqualTo("rw-------");
    }

    @Test
    void onlyTheBeginningOfAPacketIsKept() throws IOException {
        Path path = folder.resolve("vm.pcap");
        link.start(new CaptureFile(path, CaptureFile.HEADERS_ONLY, 1 << 20));
        byte[] bytes = filled(1514, 3);
        send(bytes);
        link.close();

        Packet packet = read(path).getFirst();
        assertThat(packet.length()).isEqualTo(1514);
        assertThat(packet.bytes()).isEqualTo(Arrays.copyOf(bytes, CaptureFile.HEADERS_ONLY));
        assertThat(below.isClosed).isTrue();
    }

    @Test
    void aFullFileMakesRoomForANewOneAndNothingIsLostBetween() throws IOException {
        Path path = folder.resolve("vm.pcap");
        Path older = folder.resolve("vm.pcap.1");
        CaptureFile file = new CaptureFile(path, CaptureFile.WHOLE_PACKETS, CaptureFile.MIN_SIZE_LIMIT);
        link.start(file);
        int sent = 0;
        while (!Files.exists(older) || read(path).size() < 3) {
            send(ByteBuffer.allocate(1500).putInt(sent++).array());
            link.flush();
        }
        assertThat(Files.size(older)).isBetween(CaptureFile.MIN_SIZE_LIMIT - 1516L, (long) CaptureFile.MIN_SIZE_LIMIT);
        List<Packet> packets = new ArrayList<>(read(older));
        packets.addAll(read(path));
        assertThat(packets).hasSize(sent);
        for (int i = 0; i < sent; i++) {
            assertThat(ByteBuffer.wrap(packets.get(i).bytes()).getInt()).isEqualTo(i);
        }
        assertThat(file.packets()).isEqualTo(sent);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
                .isEqualTo("rw-------");
    }

    @Test
    void anOldFileOfTheWorldBecomesPrivateAndALinkIsNotFollowed() throws IOException {
        Path path = Files.writeString(folder.resolve("old"), "old");
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-rw-rw-"));
        new CaptureFile(path, 128, 1 << 20).close();
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
                .isEqualTo("rw-------");
        assertThat(read(path)).isEmpty();

        Path link = Files.createSymbolicLink(folder.resolve("link"), folder.resolve("victim"));
        assertThatThrownBy(() -> new CaptureFile(link, 128, 1 << 20)).isInstanceOf(IOException.class);
        assertThat(folder.resolve("victim")).doesNotExist();
    }

    @Test
    void aFullDiskEndsTheCaptureButNotTheTraffic() throws Exception {
        Path disk = Files.createDirectory(folder.resolve("disk"));
        Assumptions.assumeTrue(
                run("mount", "-t", "tmpfs", "-o", "size=300k", "slipway-test", disk.toString()),
                "a small file system takes the superuser");
        try {
            Path path = disk.resolve("vm.pcap");
            CaptureFile file = new CaptureFile(path, CaptureFile.WHOLE_PACKETS, 1 << 20);
            link.start(file);
            int sent = 0;
            while (file.isOpen() && sent < 1000) {
                send(ByteBuffer.allocate(1500).putInt(sent++).array());
                send(ByteBuffer.allocate(700).putInt(sent++).array());
                link.flush();
            }
            assertThat(file.isOpen()).isFalse();
            send(filled(60, 1));
            link.flush();

            assertThat(below.sent).hasSize(sent + 1);
            List<Packet> packets = read(path);
            assertThat(packets.size()).isBetween(150, sent);
            assertThat(ByteBuffer.wrap(packets.getLast().bytes()).getInt()).isEqualTo(packets.size() - 1);
        } finally {
            assertThat(run("umount", disk.toString())).isTrue();
        }
    }

    @Test
    void aFileThatCannotBeWrittenIsRefusedAtOnce() {
        Path full = Path.of("/dev/full");
        Assumptions.assumeTrue(Files.isWritable(full));
        assertThatThrownBy(() -> new CaptureFile(full, 128, 1 << 20)).isInstanceOf(IOException.class);
        assertThatThrownBy(() -> new CaptureFile(folder.resolve("no/vm.pcap"), 128, 1 << 20))
                .isInstanceOf(IOException.class);
        assertThatThrownBy(() -> new CaptureFile(folder.resolve("a"), 13, 1 << 20))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("snap length 13");
        assertThatThrownBy(() -> new CaptureFile(folder.resolve("a"), 128, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("size limit 1");
    }

    private static boolean run(String... command) throws IOException, InterruptedException {
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start();
            return process.waitFor(20, TimeUnit.SECONDS) && process.exitValue() == 0;
        } catch (IOException notThere) {
            return false;
        }
    }

    private void send(byte[] bytes) {
        Frame built = link.begin(bytes.length);
        MemorySegment.copy(bytes, 0, built.bytes(), ValueLayout.JAVA_BYTE, built.offset(), bytes.length);
        link.send(built);
    }

    private static Frame frame(byte[] bytes) {
        MemorySegment memory = Arena.ofAuto().allocate(bytes.length);
        MemorySegment.copy(bytes, 0, memory, ValueLayout.JAVA_BYTE, 0, bytes.length);
        return new Frame().set(memory, 0, bytes.length);
    }

    private static byte[] filled(int length, int value) {
        byte[] bytes = new byte[length];
        Arrays.fill(bytes, (byte) value);
        return bytes;
    }

    /** Reads a capture strictly: every byte belongs to a whole packet. */
    private static List<Packet> read(Path path) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.nativeOrder());
        assertThat(bytes.getInt()).isEqualTo(0xA1B2_3C4D);
        assertThat(bytes.getShort()).isEqualTo((short) 2);
        assertThat(bytes.getShort()).isEqualTo((short) 4);
        assertThat(bytes.getLong()).isZero();
        int snapLength = bytes.getInt();
        assertThat(bytes.getInt()).isEqualTo(1);
        List<Packet> packets = new ArrayList<>();
        while (bytes.hasRemaining()) {
            Instant time = Instant.ofEpochSecond(bytes.getInt(), bytes.getInt());
            byte[] kept = new byte[bytes.getInt()];
            int length = bytes.getInt();
            assertThat(kept.length).isEqualTo(Math.min(length, snapLength));
            bytes.get(kept);
            packets.add(new Packet(time, length, kept));
        }
        return packets;
    }
}
