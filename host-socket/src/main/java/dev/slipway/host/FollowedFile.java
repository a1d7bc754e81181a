package dev.slipway.host;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.util.Objects;
import java.util.function.Function;

/**
 * A file of the host, followed live: whoever asks sees a change at most {@value #CHECK_MILLIS} ms after it was made, be it
 * a new content, a new file, a symbolic link that leads elsewhere, or a file that appears or is gone. A file that cannot
 * be read is an empty one.
 *
 * @param <T> what the file says; two values that are equal say the same
 */
final class FollowedFile<T> {

    /** How often the file is looked at, in milliseconds. */
    static final int CHECK_MILLIS = 200;

    /** What is behind this many bytes is not read. */
    static final int MAX_LENGTH = 1 << 20;

    private static final long CHECK_NANOS = CHECK_MILLIS * 1_000_000L;

    /** A file that was written so shortly before it was read may change again without a new time stamp. */
    private static final long SETTLED_MILLIS = 2_000;

    private final Path path;
    private final Function<String, T> parser;
    private T current;
    private Version version;
    private long checkedAt;
    private boolean checked;

    /**
     * @param path of the file; it need not exist
     * @param parser of its text, whatever that is
     */
    FollowedFile(Path path, Function<String, T> parser) {
        this.path = path;
        this.parser = parser;
        this.current = parser.apply("");
    }

    /** The host's {@code resolv.conf}, or one in its place. */
    static FollowedFile<ResolvConf> resolvConf(Path path, int port) {
        return new FollowedFile<>(path, text -> ResolvConf.parse(text, port));
    }

    private record Version(Object key, long size, Instant modified) {}

    /** What the file says now; the same object as long as that is the same. */
    T current(long nowNanos) {
        if (checked && nowNanos - checkedAt < CHECK_NANOS) {
            return current;
        }
        checked = true;
        checkedAt = nowNanos;
        try {
            BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
            Version found = new Version(
                    attributes.fileKey(),
                    attributes.size(),
                    attributes.lastModifiedTime().toInstant());
            boolean settled = version != null
                    && version.modified.plusMillis(SETTLED_MILLIS).isBefore(Instant.now());
            if (!Objects.equals(found, version) || !settled) {
                version = found;
                use(parser.apply(read()));
            }
        } catch (IOException e) {
            version = null;
            use(parser.apply(""));
        }
        return current;
    }

    private String read() throws IOException {
        try (InputStream in = Files.newInputStream(path)) {
            return new String(in.readNBytes(MAX_LENGTH), StandardCharsets.ISO_8859_1);
        }
    }

    private void use(T read) {
        if (!read.equals(current)) {
            current = read;
        }
    }
}
