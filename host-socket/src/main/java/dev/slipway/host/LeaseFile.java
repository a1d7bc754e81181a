package dev.slipway.host;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dhcp.LeaseTable.Remembered;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Leases that outlive the process: a line for each, with the address, the MAC address, when it ends in seconds since 1970,
 * and what the guest is called ({@code -} for nothing).
 *
 * <p>Written by a thread of its own, at most once a second and only if something changed: to a file beside it, which then
 * takes its place, so that there is always a whole one. Mode 0600. What cannot be read is left out with a word in the
 * log; a file that cannot be written is tried again at the next change.
 */
final class LeaseFile implements AutoCloseable {

    private static final String HEADER =
            "# Slipway's DHCP leases: address, MAC address, end in seconds since 1970, name";
    private static final int MAX_LENGTH = 1 << 20;
    private static final int INTERVAL_MILLIS = 1_000;
    private static final Logger LOG = LoggerFactory.getLogger(LeaseFile.class);

    private final Path path;
    private final LeaseTable leases;
    private final LongSupplier epochSeconds;
    private final Thread writer =
            Thread.ofPlatform().daemon().name("lease-file").unstarted(this::watch);
    private long written;
    private boolean failing;

    /** @param epochSeconds the wall clock, in seconds since 1970 */
    LeaseFile(Path path, LeaseTable leases, LongSupplier epochSeconds) {
        this.path = path;
        this.leases = leases;
        this.epochSeconds = epochSeconds;
    }

    /** Reads what an earlier run left, and writes from now on what changes. */
    static LeaseFile start(Path path, LeaseTable leases) {
        LeaseFile file = new LeaseFile(path, leases, () -> System.currentTimeMillis() / 1_000);
        file.read(System.nanoTime());
        file.writer.start();
        return file;
    }

    /** Puts the leases of the file into the table. */
    void read(long nowNanos) {
        String text;
        try {
            if (Files.size(path) > MAX_LENGTH) {
                LOG.warn("{}: longer than {} bytes, begun anew", path, MAX_LENGTH);
                return;
            }
            text = Files.readString(path, StandardCharsets.ISO_8859_1);
        } catch (NoSuchFileException e) {
            return;
        } catch (IOException e) {
            LOG.warn("{}: cannot be read: {}", path, e.toString());
            return;
        }
        int bad = 0;
        for (String line : text.lines().toList()) {
            if (!line.isBlank() && !line.startsWith("#") && !readLine(line, nowNanos)) {
                bad++;
            }
        }
        if (bad > 0) {
            LOG.warn("{}: {} lines are no leases of this network, left out", path, bad);
        }
        written = leases.version();
    }

    private boolean readLine(String line, long nowNanos) {
        String[] words = line.strip().split("[ \t]+");
        try {
            int address = IpAddress.parseV4(words[0]);
            long mac = MacAddress.parse(words[1]);
            // A clock that was set back must not make a lease longer than leases are.
            long seconds =
                    Math.clamp(Long.parseLong(words[2]) - epochSeconds.getAsLong(), -1, LeaseTable.LEASE_SECONDS);
            String name = words[3].equals("-") ? "" : words[3];
            return leases.restore(
                    new Remembered(address, mac, nowNanos + TimeUnit.SECONDS.toNanos(seconds), name), nowNanos);
        } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException e) {
            return false;
        }
    }

    private void watch() {
        try {
            while (true) {
                Thread.sleep(INTERVAL_MILLIS);
                writeIfChanged(System.nanoTime());
            }
        } catch (InterruptedException e) {
            // The last change is written by close.
            return;
        }
    }

    /** Writes the file if the table is not what it was when that was last done. */
    synchronized void writeIfChanged(long nowNanos) {
        long version = leases.version();
        if (version == written) {
            return;
        }
        StringBuilder text = new StringBuilder(HEADER).append('\n');
        long now = epochSeconds.getAsLong();
        for (Remembered lease : leases.remembered()) {
            long ends = now + TimeUnit.NANOSECONDS.toSeconds(lease.expires() - nowNanos);
            text.append(IpAddress.toString(lease.address())).append(' ');
            text.append(MacAddress.toString(lease.mac()))
                    .append(' ')
                    .append(ends)
                    .append(' ');
            text.append(lease.name().isEmpty() ? "-" : lease.name()).append('\n');
        }
        try {
            write(text.toString());
            written = version;
            failing = false;
        } catch (IOException e) {
            if (!failing) {
                LOG.warn("{}: cannot be written, leases would not survive a restart: {}", path, e.toString());
            }
            failing = true;
        }
    }

    private void write(String text) throws IOException {
        Path absolute = path.toAbsolutePath();
        Path beside = absolute.resolveSibling(absolute.getFileName() + ".new");
        Files.deleteIfExists(beside);
        boolean posix = beside.getFileSystem().supportedFileAttributeViews().contains("posix");
        Set<StandardOpenOption> options = Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        try (FileChannel channel = posix
                ? FileChannel.open(
                        beside,
                        options,
                        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))
                : FileChannel.open(beside, options)) {
            ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1));
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(true);
        }
        Files.move(beside, absolute, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    /** Writes the last changes and ends. */
    @Override
    public void close() {
        writer.interrupt();
        writeIfChanged(System.nanoTime());
    }
}
