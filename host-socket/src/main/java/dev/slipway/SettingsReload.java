package dev.slipway;

import dev.slipway.proxy.ProxySettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads the settings again when a file of theirs changes, and on SIGHUP, and applies what can change while VMs run: the
 * proxies. Settings that cannot be used leave what was, and are told in the log.
 */
final class SettingsReload implements AutoCloseable {

    private static final long INTERVAL_MILLIS = 500;
    private static final Logger LOG = LoggerFactory.getLogger(SettingsReload.class);

    private final Reader reader;
    private final Consumer<ProxySettings> changed;
    private final List<Path> files;
    private final Semaphore hangUp = new Semaphore(0);
    private final CountDownLatch closed = new CountDownLatch(1);
    private List<String> seen;
    private ProxySettings current;

    /** Reads the settings as they are now. */
    interface Reader {
        ProxySettings read() throws SettingsException;
    }

    private SettingsReload(Reader reader, ProxySettings current, List<Path> files, Consumer<ProxySettings> changed) {
        this.reader = reader;
        this.current = current;
        this.files = files;
        this.changed = changed;
        this.seen = look();
    }

    /**
     * Begins to watch.
     *
     * @param files that settings come from; SIGHUP is left alone if there are none, and stops the program as ever
     * @param changed told of other settings, on a thread of this
     */
    static SettingsReload watch(
            Reader reader, ProxySettings current, List<Path> files, Consumer<ProxySettings> changed) {
        SettingsReload reload = new SettingsReload(reader, current, files, changed);
        if (!files.isEmpty()) {
            reload.hearHangUps();
            Thread.ofPlatform().daemon().name("settings").start(reload::run);
        }
        return reload;
    }

    private void hearHangUps() {
        if (!Signals.hear("HUP", hangUp::release)) {
            LOG.info("SIGHUP cannot be heard here; files are followed all the same");
        }
    }

    private void run() {
        try {
            while (closed.getCount() > 0) {
                boolean told = hangUp.tryAcquire(INTERVAL_MILLIS, TimeUnit.MILLISECONDS);
                List<String> now = look();
                if (told || !now.equals(seen)) {
                    seen = now;
                    reload();
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** What tells one state of the files from another. */
    private List<String> look() {
        List<String> states = new ArrayList<>();
        for (Path file : files) {
            try {
                BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
                states.add(attributes.lastModifiedTime() + " " + attributes.size() + " " + attributes.fileKey());
            } catch (IOException e) {
                states.add("none");
            }
        }
        return states;
    }

    private void reload() {
        try {
            ProxySettings read = reader.read();
            if (read.equals(current)) {
                LOG.info("settings read again: nothing changed that can change while VMs run");
            } else {
                current = read;
                changed.accept(read);
                LOG.info("settings read again: proxies {}", read.summary());
            }
        } catch (SettingsException e) {
            LOG.error("settings read again, and not used: {}", e.getMessage());
        } catch (RuntimeException e) {
            LOG.error("settings cannot be read again: {}", e.getClass().getSimpleName());
        }
    }

    @Override
    public void close() {
        closed.countDown();
    }
}
