package dev.slipway.control;

/** Writes JSON (RFC 8259) from the outside in; commas come by themselves. */
final class JsonText {

    private final StringBuilder text = new StringBuilder();
    private boolean first = true;

    /** Begins an object or an array, as an element of an array or behind a key. */
    JsonText begin(String bracket) {
        separate();
        text.append(bracket);
        first = true;
        return this;
    }

    JsonText end(String bracket) {
        text.append(bracket);
        first = false;
        return this;
    }

    JsonText key(String name) {
        separate();
        quote(name);
        text.append(':');
        first = true;
        return this;
    }

    JsonText field(String name, String value) {
        key(name);
        quote(value);
        first = false;
        return this;
    }

    JsonText field(String name, long value) {
        key(name).text.append(value);
        first = false;
        return this;
    }

    JsonText field(String name, boolean value) {
        key(name).text.append(value);
        first = false;
        return this;
    }

    /** An element of an array. */
    JsonText value(String value) {
        separate();
        quote(value);
        return this;
    }

    private void separate() {
        if (!first) {
            text.append(',');
        }
        first = false;
    }

    private void quote(String value) {
        text.append('"');
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c == '"' || c == '\\') {
                text.append('\\').append(c);
            } else if (c < 0x20 || c == 0x7F) {
                text.append(String.format("\\u%04x", (int) c));
            } else {
                text.append(c);
            }
        }
        text.append('"');
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
