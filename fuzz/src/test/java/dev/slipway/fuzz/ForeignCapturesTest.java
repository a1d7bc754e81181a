package dev.slipway.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.stack.StackFuzz;
import dev.slipway.wire.ParsersFuzz;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Frames that other people captured, most of them because something was wrong with them. */
final class ForeignCapturesTest {

    private static final byte[] PING = {
        2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0, //
        0x45, 0, 0, 29, 0, 0, 0, 0, 64, 1, 0x12, 0x34, 10, 0, 0, 1, 10, 0, 0, 2, //
        8, 0, 0x56, 0x78, 0, 1, 0, 2, 'x'
    };

    private static byte[] capture(ByteOrder order, int linkType, byte[] packet) {
        return ByteBuffer.allocate(40 + packet.length)
                .order(order)
                .putInt(0xA1B2C3D4)
                .putShort((short) 2)
                .putShort((short) 4)
                .putLong(0)
                .putInt(65_535)
                .putInt(linkType)
                .putLong(0)
                .putInt(packet.length)
                .putInt(packet.length)
                .put(packet)
                .array();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void framesAreReadUpToWhereAFileIsDamaged(boolean bigEndian, @TempDir Path folder) throws IOException {
        ByteOrder order = bigEndian ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
        byte[] whole = capture(order, 1, PING);
        byte[] damaged = ByteBuffer.allocate(whole.length + 16)
                .order(order)
                .put(whole)
                .putLong(0)
                .putInt(-1)
                .putInt(-1)
                .array();
        assertThat(Captures.read(Files.write(folder.resolve("a.pcap"), damaged)))
                .singleElement()
                .isEqualTo(PING);
    }

    @Test
    void aPacketWithoutEthernetGetsAHeader(@TempDir Path folder) throws IOException {
        byte[] packet = Arrays.copyOfRange(PING, 14, PING.length);
        Path file = Files.write(folder.resolve("a.pcap"), capture(ByteOrder.LITTLE_ENDIAN, 101, packet));
        byte[] frame = Captures.read(file).getFirst();
        assertThat(frame).hasSize(PING.length).endsWith(packet);
        assertThat(ByteBuffer.wrap(frame).getShort(12)).isEqualTo((short) 0x0800);
    }

    /** The internet checksums are the ones computed by hand. */
    @Test
    void aForeignFrameBecomesTheGuestsOwn() {
        byte[] own = GuestsFrame.of(PING);
        assertThat(own).startsWith(0x5A, 0x94, 0xEF, 0xE4, 0x0C, 0xDD, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56);
        ByteBuffer fields = ByteBuffer.wrap(own);
        assertThat(fields.getInt(26)).isEqualTo(0xC0A8_4103);
        assertThat(fields.getShort(24)).isEqualTo((short) 0x6F33);
        assertThat(fields.getShort(36)).isEqualTo((short) 0x7FFC);
    }

    @Test
    @EnabledIfSystemProperty(named = "slipway.captures.into", matches = ".+")
    void campaignsBeginWithThem() throws IOException {
        Path into = Path.of(System.getProperty("slipway.captures.into"));
        int frames = CaptureSeeds.write(Path.of(System.getProperty("slipway.captures")), into);
        System.out.println(frames + " frames, inputs in " + into);
        assertThat(frames).isGreaterThan(100);
    }

    static Stream<Path> captures() throws IOException {
        String folder = System.getProperty("slipway.captures");
        return folder == null ? Stream.of(Path.of("none")) : CaptureSeeds.files(Path.of(folder)).stream();
    }

    @ParameterizedTest
    @MethodSource("captures")
    @EnabledIfSystemProperty(named = "slipway.captures", matches = ".+")
    void noFrameOfACaptureDoesHarm(Path file) throws IOException {
        List<byte[]> frames = Captures.read(file);
        for (byte[] program : CaptureSeeds.programs(frames)) {
            StackFuzz.fuzzerTestOneInput(program);
        }
        for (byte[] frame : frames) {
            for (int parser = 0; parser < 9; parser++) {
                ParsersFuzz.fuzzerTestOneInput(CaptureSeeds.parsed(frame, parser));
            }
        }
    }
}
