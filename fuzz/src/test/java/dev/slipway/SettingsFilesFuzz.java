package dev.slipway;

import dev.slipway.fuzz.Input;
import dev.slipway.proxy.ProxySettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Files of settings, policy, proxies and gvproxy's: used as a whole, or refused with the place that is wrong. */
public final class SettingsFilesFuzz {

    private static final Path FILE = file();

    private SettingsFilesFuzz() {}

    private static Path file() {
        try {
            Path file = Files.createTempFile("slipway-fuzz", ".yaml");
            file.toFile().deleteOnExit();
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static void fuzzerTestOneInput(byte[] data) throws IOException {
        Input input = new Input(data);
        int kind = input.u8();
        Files.write(FILE, input.rest());
        try {
            switch (kind % 4) {
                case 0 -> Settings.from(SettingsFile.read(FILE));
                case 1 -> PolicyFile.read(FILE, List.of());
                case 2 -> ProxyFile.read(FILE, ProxySettings.none());
                default ->
                    GvproxyFile.read(
                            new SettingSource.Value("-config", FILE.toString()),
                            ForeignFlags.parse(new String[0], "-", Map.of()));
            }
        } catch (SettingsException e) {
            if (e.getMessage() == null || e.getMessage().isEmpty()) {
                throw new AssertionError("refused without a reason", e);
            }
        }
    }
}
