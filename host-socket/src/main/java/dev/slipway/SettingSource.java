package dev.slipway;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Settings as they were written, key by key, with the place of each. Flags and files have the same keys: {@code --mtu}
 * is {@code mtu:} in a file.
 */
final class SettingSource {

    /**
     * One value as it was written.
     *
     * @param place what an error message begins with
     */
    record Value(String place, String text) {

        SettingsException wrong(String problem) {
            return new SettingsException(place, problem);
        }
    }

    private final Map<String, List<Value>> values = new LinkedHashMap<>();

    /** Sets a key, in place of what it had before. */
    void put(String key, List<Value> written) {
        values.put(key, List.copyOf(written));
    }

    /** Sets every key that another source has, in place of what it had here. */
    void override(SettingSource other) {
        values.putAll(other.values);
    }

    /** All values of a key; empty if it was not set. */
    List<Value> all(String key) {
        return values.getOrDefault(key, List.of());
    }

    /** The only value of a key, or {@code null} if it was not set. */
    Value one(String key) throws SettingsException {
        List<Value> written = all(key);
        if (written.size() > 1) {
            throw written.get(1).wrong("takes one value, not " + written.size());
        }
        return written.isEmpty() ? null : written.getFirst();
    }
}
