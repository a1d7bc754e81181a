package dev.slipway.fuzz;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Makes inputs of {@code StackFuzz} and {@code ParsersFuzz} from captures: {@code .ci/foreign-captures} fetches some. */
final class CaptureSeeds {

    /** The longest that a campaign takes as it is. */
    private static final int LONGEST = 4_000;
    /** What {@code StackFuzz} takes of one frame. */
    private static final int LONGEST_FRAME = 0x7FF;
    /** IPv6 from the beginning, services looked for; an MTU of 1,500. */
    private static final byte[] SETTINGS = {2 | 8, 0};
    /** Steps of {@code StackFuzz}: a frame; an event of a host's stream, which connects it or takes what it was sent. */
    private static final int FRAME = 0;

    private static final int HOST_EVENT = 14;
    private static final int STREAM = 0;
    private static final int PROCEED = 3;

    private CaptureSeeds() {}

    /**
     * Writes them.
     *
     * @param captures a folder with captures
     * @param into one with a folder of inputs for each target
     * @return how many frames there were
     */
    static int write(Path captures, Path into) throws IOException {
        Path stack = Files.createDirectories(into.resolve("dev.slipway.stack.StackFuzz"));
        Path parsers = Files.createDirectories(into.resolve("dev.slipway.wire.ParsersFuzz"));
        int frames = 0;
        for (Path file : files(captures)) {
            List<byte[]> all = Captures.read(file);
            frames += all.size();
            int part = 0;
            for (byte[] program : programs(all)) {
                Files.write(stack.resolve("capture-" + file.getFileName() + "-" + part++), program);
            }
            part = 0;
            for (byte[] frame : all) {
                Files.write(parsers.resolve("capture-" + file.getFileName() + "-" + part++), parsed(frame, part % 9));
            }
        }
        return frames;
    }

    /** All captures in a folder. */
    static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".pcap"))
                    .sorted()
                    .toList();
        }
    }

    /** Each frame as it is and as the guest's own, in as many programs as it takes. */
    static List<byte[]> programs(List<byte[]> frames) {
        List<byte[]> programs = new ArrayList<>();
        ByteArrayOutputStream program = new ByteArrayOutputStream();
        int steps = 0;
        for (byte[] frame : frames) {
            byte[] own = GuestsFrame.of(frame);
            if (steps > 0 && (steps > 390 || program.size() + 2 * Math.min(own.length, LONGEST_FRAME) > LONGEST)) {
                programs.add(program.toByteArray());
                program.reset();
                steps = 0;
            }
            if (steps == 0) {
                program.writeBytes(SETTINGS);
            }
            give(program, frame);
            give(program, own);
            program.write(HOST_EVENT);
            program.write(STREAM);
            program.write(steps / 3);
            program.write(PROCEED);
            steps += 3;
        }
        if (steps > 0) {
            programs.add(program.toByteArray());
        }
        return programs;
    }

    private static void give(ByteArrayOutputStream program, byte[] frame) {
        int length = Math.min(frame.length, LONGEST_FRAME);
        program.write(FRAME);
        program.write(length >>> 8);
        program.write(length);
        program.write(frame, 0, length);
    }

    /** Of a parser, on the bytes from where it would begin. */
    static byte[] parsed(byte[] frame, int parser) {
        int[] begins = {0, 14, 14, 34, 34, 34, 42, 62, 42};
        int from = Math.min(begins[parser], frame.length);
        byte[] input = new byte[2 + frame.length - from];
        input[0] = (byte) parser;
        System.arraycopy(frame, from, input, 2, frame.length - from);
        return input;
    }
}
