package dev.slipway;

import dev.slipway.proxy.ProxySettings;
import java.util.Map;

/** What the running program does with a change of the proxies, for a target in another package. */
public final class ProxyChanges {

    private ProxyChanges() {}

    /**
     * The settings after a change.
     *
     * @throws IllegalArgumentException if it cannot be
     */
    public static ProxySettings after(Map<String, Object> fields, ProxySettings before) {
        try {
            return ProxyFile.change("the request", fields, before);
        } catch (SettingsException e) {
            throw new IllegalArgumentException(e.getMessage(), e);
        }
    }
}
