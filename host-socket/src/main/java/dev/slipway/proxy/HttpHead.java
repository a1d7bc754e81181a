package dev.slipway.proxy;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The head of an HTTP/1.x message (RFC 9112, sections 2 to 5): the first line and the fields, in their order and case.
 *
 * <p>A request is read strictly: what two readers could understand differently is refused, because this proxy, the next
 * one and the origin must agree where each request ends. A response may have lines that end in a bare LF or are folded;
 * it is written again without either.
 */
final class HttpHead {

    private static final int MAX_FIELDS = 512;

    private String method = "";
    private String target = "";
    private int status;
    private String reason = "";
    private int minorVersion;
    private final List<String> names = new ArrayList<>();
    private final List<String> values = new ArrayList<>();

    private HttpHead() {}

    /**
     * Reads a request's head.
     *
     * @param bytes up to and with the empty line at its end
     */
    static HttpHead request(byte[] bytes, int length) throws MalformedException {
        HttpHead head = new HttpHead();
        List<String> lines = lines(bytes, length, true);
        String[] parts = lines.getFirst().split(" ", -1);
        if (parts.length != 3 || !isToken(parts[0]) || parts[1].isEmpty()) {
            throw new MalformedException(400, "the first line is no request");
        }
        head.method = parts[0];
        head.target = parts[1];
        head.minorVersion = minorVersion(parts[2], true);
        head.fields(lines, true);
        return head;
    }

    /** Reads a response's head; the same. */
    static HttpHead response(byte[] bytes, int length) throws MalformedException {
        HttpHead head = new HttpHead();
        List<String> lines = lines(bytes, length, false);
        String[] parts = lines.getFirst().split(" ", 3);
        if (parts.length < 2 || !parts[1].matches("[1-9][0-9][0-9]")) {
            throw new MalformedException(502, "the first line is no response");
        }
        head.minorVersion = minorVersion(parts[0], false);
        head.status = Integer.parseInt(parts[1]);
        head.reason = parts.length == 3 ? parts[2] : "";
        head.fields(lines, false);
        return head;
    }

    private static int minorVersion(String text, boolean request) throws MalformedException {
        if (text.length() == 8 && text.startsWith("HTTP/1.") && Character.digit(text.charAt(7), 10) >= 0) {
            return text.charAt(7) == '0' ? 0 : 1;
        }
        throw request
                ? new MalformedException(505, "the version is not HTTP/1.1 or HTTP/1.0")
                : new MalformedException(502, "the version of the response is not HTTP/1.1 or HTTP/1.0");
    }

    private static List<String> lines(byte[] bytes, int length, boolean strict) throws MalformedException {
        int status = strict ? 400 : 502;
        List<String> lines = new ArrayList<>();
        int start = 0;
        for (int i = 0; i < length; i++) {
            byte b = bytes[i];
            boolean cr = b == '\r';
            if (cr && (i + 1 == length || bytes[i + 1] != '\n')) {
                throw new MalformedException(status, "a carriage return without a line feed");
            }
            if (b == '\n' && strict && (i == 0 || bytes[i - 1] != '\r')) {
                throw new MalformedException(status, "a line feed without a carriage return");
            }
            if (b == '\n') {
                int end = i > start && bytes[i - 1] == '\r' ? i - 1 : i;
                if (end > start) {
                    lines.add(new String(bytes, start, end - start, StandardCharsets.ISO_8859_1));
                }
                start = i + 1;
            } else if (!cr && b >= 0 && b < ' ' && b != '\t' || b == 0x7F) {
                throw new MalformedException(status, "a control character");
            }
        }
        if (lines.isEmpty()) {
            throw new MalformedException(status, "no first line");
        }
        if (lines.size() > MAX_FIELDS) {
            throw new MalformedException(strict ? 431 : 502, "more than " + MAX_FIELDS + " lines");
        }
        return lines;
    }

    private void fields(List<String> lines, boolean strict) throws MalformedException {
        int wrong = strict ? 400 : 502;
        for (String line : lines.subList(1, lines.size())) {
            if (line.charAt(0) == ' ' || line.charAt(0) == '\t') {
                if (strict || names.isEmpty()) {
                    throw new MalformedException(wrong, "a folded line");
                }
                values.set(values.size() - 1, (values.getLast() + " " + line.strip()).strip());
                continue;
            }
            int colon = line.indexOf(':');
            String name = colon < 0 ? "" : line.substring(0, colon);
            if (!strict) {
                name = name.stripTrailing();
            }
            if (!isToken(name)) {
                throw new MalformedException(wrong, "a line that is no field");
            }
            names.add(name);
            values.add(stripped(line.substring(colon + 1)));
        }
    }

    /** Without blanks and tabs at both ends; {@code strip} would take more. */
    private static String stripped(String text) {
        int from = 0;
        int to = text.length();
        while (from < to && (text.charAt(from) == ' ' || text.charAt(from) == '\t')) {
            from++;
        }
        while (to > from && (text.charAt(to - 1) == ' ' || text.charAt(to - 1) == '\t')) {
            to--;
        }
        return text.substring(from, to);
    }

    /** A token of RFC 9110, section 5.6.2. */
    static boolean isToken(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean alphanumeric = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9';
            if (!alphanumeric && "!#$%&'*+-.^_`|~".indexOf(c) < 0) {
                return false;
            }
        }
        return !text.isEmpty();
    }

    String method() {
        return method;
    }

    /** What the request is for, as it stands in the first line. */
    String target() {
        return target;
    }

    int status() {
        return status;
    }

    String reason() {
        return reason;
    }

    /** 0 for HTTP/1.0, 1 for HTTP/1.1 and later ones. */
    int minorVersion() {
        return minorVersion;
    }

    List<String> all(String name) {
        List<String> found = new ArrayList<>();
        for (int i = 0; i < names.size(); i++) {
            if (names.get(i).equalsIgnoreCase(name)) {
                found.add(values.get(i));
            }
        }
        return found;
    }

    boolean has(String name) {
        return !all(name).isEmpty();
    }

    /** Whether a field that is a list has a token. */
    boolean hasToken(String name, String token) {
        return tokens(name).contains(token);
    }

    /** The elements of a field that is a list, in lower case. */
    List<String> tokens(String name) {
        List<String> tokens = new ArrayList<>();
        for (String value : all(name)) {
            for (String token : value.split(",")) {
                if (!token.isBlank()) {
                    tokens.add(token.strip().toLowerCase(Locale.ROOT));
                }
            }
        }
        return tokens;
    }

    void remove(String name) {
        for (int i = names.size() - 1; i >= 0; i--) {
            if (names.get(i).equalsIgnoreCase(name)) {
                names.remove(i);
                values.remove(i);
            }
        }
    }

    void add(String name, String value) {
        names.add(name);
        values.add(value);
    }

    /** Sets a field where it stood, or in front if there was none. */
    void setFirst(String name, String value) {
        remove(name);
        names.addFirst(name);
        values.addFirst(value);
    }

    /** Takes out what is meant for this hop alone (RFC 9110, section 7.6.1) but for the framing of the body. */
    void removeHopByHop() {
        for (String named : tokens("Connection")) {
            if (!named.equals("transfer-encoding") && !named.equals("content-length") && !named.equals("host")) {
                remove(named);
            }
        }
        for (String name : List.of("Connection", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade")) {
            remove(name);
        }
    }

    /** Whether the sender goes on with this connection after this message. */
    boolean isPersistent() {
        return minorVersion == 1 && !hasToken("Connection", "close") && !hasToken("Proxy-Connection", "close");
    }

    byte[] toRequest(String newTarget) {
        return write(method + " " + newTarget + " HTTP/1." + minorVersion);
    }

    byte[] toResponse() {
        return write("HTTP/1.1 " + status + " " + reason);
    }

    private byte[] write(String firstLine) {
        StringBuilder text = new StringBuilder(firstLine).append("\r\n");
        for (int i = 0; i < names.size(); i++) {
            text.append(names.get(i)).append(": ").append(values.get(i)).append("\r\n");
        }
        return text.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1);
    }
}
