package dev.slipway.vhost;

import dev.slipway.fuzz.Input;
import java.io.IOException;
import java.nio.file.Files;

/**
 * Messages of a VM manager that says anything, with any descriptors, over the real socket of one link: each run is a
 * connection of its own. The link counts no defect, and the next one is served.
 */
public final class VhostMessagesFuzz {

    private static final int MAX_MESSAGES = 40;
    private static VhostRig rig;

    private VhostMessagesFuzz() {}

    private static synchronized VhostRig rig() throws IOException {
        if (rig == null) {
            rig = new VhostRig(Files.createTempDirectory("slipway-fuzz"));
            rig.receiver.onFrame = frame -> rig.receiver.frames.clear();
        }
        return rig;
    }

    public static void fuzzerTestOneInput(byte[] data) throws Exception {
        Input input = new Input(data);
        VhostRig link = rig();
        try (FakeFrontEnd guest = new FakeFrontEnd(link.path, input.flag())) {
            guest.makeDrivers(Features.OFFERED, FakeFrontEnd.RING);
            talk(guest, input);
        }
        link.settle();
        link.receiver.events.clear();
        if (link.link.counters().failures() != 0) {
            throw new AssertionError("a defect");
        }
    }

    private static void talk(FakeFrontEnd guest, Input input) throws Exception {
        try {
            if (input.flag()) {
                guest.start(Features.OFFERED);
            }
            for (int i = 0; i < MAX_MESSAGES && input.hasMore(); i++) {
                if (input.u8() % 8 == 0) {
                    guest.kick(input.u8() % 2);
                } else {
                    say(guest, input);
                }
            }
        } catch (IOException gone) {
            // It was hung up on.
        }
    }

    private static void say(FakeFrontEnd guest, Input input) throws IOException {
        int request = input.u8() % 48;
        int shape = input.u8();
        int words = shape % 8 == 7 ? input.u8() % 40 : expected(request);
        long[] payload = new long[words];
        for (int i = 0; i < words; i++) {
            payload[i] = word(input);
        }
        int flags = shape >= 16 ? 1 : input.u8();
        int size = shape >= 8 ? words * 8 : input.u16();
        int[] files = new int[shape % 4 == 0 ? input.u8() % 10 : files(request)];
        for (int i = 0; i < files.length; i++) {
            files[i] = switch (input.u8() % 3) {
                case 0 -> guest.kicks[0];
                case 1 -> guest.calls[1];
                default -> guest.memoryFile;
            };
        }
        guest.send(FakeFrontEnd.message(request, flags, size, payload), files);
    }

    private static int expected(int request) {
        return switch (request) {
            case 1, 3, 4, 15, 17, 21, 36 -> 0;
            case 5, 9, 37, 38 -> 5;
            default -> 1;
        };
    }

    private static int files(int request) {
        return switch (request) {
            case 5, 12, 13, 14, 21, 37 -> 1;
            default -> 0;
        };
    }

    private static long word(Input input) {
        return switch (input.u8() % 8) {
            case 0 -> input.u8();
            case 1 -> FakeFrontEnd.pair(input.u8() % 3, 1L << input.u8() % 17);
            case 2 -> FakeFrontEnd.GUEST + input.u8() * 4096L;
            case 3 -> FakeFrontEnd.USER + input.u8() * 0x4000L;
            case 4 -> input.u8() * 4096L;
            case 5 -> input.i64();
            default -> 1;
        };
    }
}
