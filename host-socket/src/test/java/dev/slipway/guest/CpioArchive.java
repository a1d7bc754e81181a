package dev.slipway.guest;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPOutputStream;

/**
 * A folder tree as the Linux kernel takes it for its first file system: cpio in its "new ASCII" format, whose header is
 * 110 bytes of text and whose names and contents are padded to 4 bytes (Documentation/driver-api/early-userspace/
 * buffer-format.rst of the kernel).
 */
final class CpioArchive {

    private static final int DIRECTORY = 0040755;
    private static final int PROGRAM = 0100755;
    private static final int CHARACTER_DEVICE = 0020600;
    private static final int HEADER_BYTES = 110;

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private int files;

    void addDirectory(String name) {
        add(name, DIRECTORY, 0, 0, new byte[0]);
    }

    /** A file that can also be run. */
    void addFile(String name, byte[] content) {
        add(name, PROGRAM, 0, 0, content);
    }

    void addDevice(String name, int major, int minor) {
        add(name, CHARACTER_DEVICE, major, minor, new byte[0]);
    }

    /** Writes what was added, compressed. */
    void writeTo(Path file) throws IOException {
        add("TRAILER!!!", 0, 0, 0, new byte[0]);
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file), 1 << 16)) {
            bytes.writeTo(out);
        }
    }

    private void add(String name, int mode, int major, int minor, byte[] content) {
        files++;
        byte[] nameBytes = (name + '\0').getBytes(StandardCharsets.US_ASCII);
        int[] fields = {files, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, nameBytes.length, 0};
        StringBuilder header = new StringBuilder("070701");
        for (int field : fields) {
            header.append(String.format("%08X", field));
        }
        bytes.writeBytes(header.toString().getBytes(StandardCharsets.US_ASCII));
        bytes.writeBytes(nameBytes);
        pad(HEADER_BYTES + nameBytes.length);
        bytes.writeBytes(content);
        pad(content.length);
    }

    private void pad(int length) {
        bytes.writeBytes(new byte[-length & 3]);
    }
}
