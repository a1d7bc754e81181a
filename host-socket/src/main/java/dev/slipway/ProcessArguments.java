package dev.slipway;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * The arguments of this process as others see them in a list of processes. On Linux they are the process's own memory,
 * where it can put stars in place of what is nobody's business; elsewhere they stay.
 *
 * <p>Until that is done, some tenths of a second after the start, they can be seen: a settings file or the environment
 * keeps a secret from the beginning.
 */
final class ProcessArguments {

    private static final Path STAT = Path.of("/proc/self/stat");
    private static final String MEMORY = "/proc/self/mem";

    /** Behind the command's name, which stands in brackets and may have blanks (proc(5): arg_start is field 48). */
    private static final int ARG_START = 48 - 3;

    private static final int LIMIT = 1 << 20;

    private ProcessArguments() {}

    /** Puts stars in place of these texts; returns whether all of them are gone. */
    static boolean hide(List<String> secrets) {
        try {
            String stat = Files.readString(STAT, StandardCharsets.ISO_8859_1);
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            long start = Long.parseLong(fields[ARG_START]);
            int length = (int) Math.min(LIMIT, Long.parseLong(fields[ARG_START + 1]) - start);
            try (RandomAccessFile memory = new RandomAccessFile(MEMORY, "rw")) {
                byte[] arguments = new byte[length];
                memory.seek(start);
                memory.readFully(arguments);
                for (String secret : secrets) {
                    star(arguments, secret.getBytes(StandardCharsets.UTF_8));
                }
                memory.seek(start);
                memory.write(arguments);
            }
            return true;
        } catch (IOException | RuntimeException e) {
            return false;
        }
    }

    private static void star(byte[] arguments, byte[] secret) {
        if (secret.length == 0) {
            return;
        }
        for (int at = 0; at + secret.length <= arguments.length; at++) {
            if (Arrays.equals(arguments, at, at + secret.length, secret, 0, secret.length)) {
                Arrays.fill(arguments, at, at + secret.length, (byte) '*');
            }
        }
    }

    /** What stands between a URL's scheme and its at sign. */
    static String credentials(String url) {
        int at = url.lastIndexOf('@');
        int begin = url.indexOf("://");
        return at < 0 ? "" : url.substring(begin >= 0 && begin < at ? begin + 3 : 0, at);
    }
}
