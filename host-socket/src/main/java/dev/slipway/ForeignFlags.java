package dev.slipway;

import dev.slipway.SettingSource.Value;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The flags of another program's command line as they were written: {@code -flag value}, {@code --flag value}, {@code
 * -flag=value}, and switches. Errors begin with the flag as that program spells it.
 */
final class ForeignFlags {

    /** How a flag is written. */
    enum Kind {
        /** Has a value and stands there once. */
        ONE,
        /** Has a value and may be repeated. */
        LIST,
        /** Has none, or is given one of true and false behind an equals sign. */
        SWITCH
    }

    private final String hyphens;
    private final Map<String, List<Value>> values = new LinkedHashMap<>();

    private ForeignFlags(String hyphens) {
        this.hyphens = hyphens;
    }

    /**
     * Reads a command line.
     *
     * @param hyphens that the program's own documentation writes
     * @param known its flags
     */
    static ForeignFlags parse(String[] args, String hyphens, Map<String, Kind> known) throws SettingsException {
        ForeignFlags flags = new ForeignFlags(hyphens);
        for (int i = 0; i < args.length; i++) {
            String word = args[i];
            String name = word.replaceFirst("^--?", "");
            if (name.equals(word) || name.isEmpty()) {
                throw new SettingsException(word, "is no flag, and there is nothing else to say");
            }
            int equals = name.indexOf('=');
            String value = equals < 0 ? null : name.substring(equals + 1);
            name = equals < 0 ? name : name.substring(0, equals);
            Kind kind = known.get(name);
            if (kind == null) {
                throw new SettingsException(hyphens + name, "unknown flag");
            }
            if (kind == Kind.SWITCH) {
                value = value == null ? "true" : value;
                if (!value.matches("true|false")) {
                    throw new SettingsException(hyphens + name, "'" + value + "' is neither true nor false");
                }
            } else if (value == null) {
                if (++i == args.length) {
                    throw new SettingsException(hyphens + name, "needs a value");
                }
                value = args[i];
            }
            List<Value> list = flags.values.computeIfAbsent(name, key -> new ArrayList<>());
            if (kind != Kind.LIST) {
                list.clear();
            }
            list.add(new Value(hyphens + name, value));
        }
        return flags;
    }

    /** All values of a flag. */
    List<Value> all(String name) {
        return values.getOrDefault(name, List.of());
    }

    /** The last value of a flag, or {@code otherwise}. */
    String text(String name, String otherwise) {
        List<Value> all = all(name);
        return all.isEmpty() ? otherwise : all.getLast().text();
    }

    boolean isOn(String name) {
        return text(name, "false").equals("true");
    }

    /** The last value of a flag as it was written, or {@code otherwise}. */
    Value valueOr(String name, String otherwise) {
        List<Value> all = all(name);
        return all.isEmpty() ? value(name, otherwise) : all.getLast();
    }

    /** Says what a flag is that was not given. */
    void otherwise(String name, List<Value> written) {
        if (!written.isEmpty()) {
            values.putIfAbsent(name, written);
        }
    }

    /** The flag with a value, so that errors name the flag. */
    Value value(String name, String text) {
        return new Value(hyphens + name, text);
    }

    /** Refuses a flag that was given. */
    void refuse(String name, String why) throws SettingsException {
        for (Value value : all(name)) {
            if (!value.text().isEmpty() && !value.text().equals("false")) {
                throw value.wrong("not supported" + (why.isEmpty() ? "" : ": " + why));
            }
        }
    }
}
