package dev.slipway.proxy;

import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Where a request goes, by its first line and its Host field (RFC 9112, sections 3.2 and 3.3).
 *
 * @param target what to dial
 * @param path with the query, or {@code *}
 */
record HttpTarget(Target target, String path) {

    private static final int HTTP = 80;

    /**
     * Reads the destination of a request.
     *
     * @param dialled the address that the guest dialled without knowing of a proxy; empty if it asks one
     * @throws MalformedException if there is none, or two
     */
    static HttpTarget of(HttpHead head, Optional<Target> dialled) throws MalformedException {
        String text = head.target();
        if (text.toLowerCase(Locale.ROOT).startsWith("http://")) {
            int begin = "http://".length();
            int end = begin;
            while (end < text.length() && "/?#".indexOf(text.charAt(end)) < 0) {
                end++;
            }
            String rest = text.substring(end);
            String path = rest.startsWith("/") ? rest : "/" + rest;
            return new HttpTarget(authority(text.substring(begin, end), HTTP), path);
        }
        if (dialled.isEmpty()) {
            throw new MalformedException(400, "this is a proxy, it takes http:// URLs and CONNECT");
        }
        if (!text.startsWith("/") && !text.equals("*")) {
            throw new MalformedException(400, "the first line names no path");
        }
        return new HttpTarget(transparent(head, dialled.get()), text);
    }

    /** By the Host field, at the port that was dialled; by the address if there is no such field. */
    private static Target transparent(HttpHead head, Target dialled) throws MalformedException {
        List<String> hosts = head.all("Host");
        if (hosts.size() > 1) {
            throw new MalformedException(400, "two Host fields");
        }
        if (hosts.isEmpty() || hosts.getFirst().isEmpty()) {
            return dialled;
        }
        Target named = authority(hosts.getFirst(), dialled.port());
        return named.hasName() ? dialled.named(named.name()) : dialled;
    }

    /**
     * A host and perhaps a port.
     *
     * @param otherwise the port if there is none; 0 if there has to be one
     */
    static Target authority(String text, int otherwise) throws MalformedException {
        int colon = text.lastIndexOf(':');
        String host = text;
        int port = otherwise;
        if (colon > text.lastIndexOf(']')) {
            host = text.substring(0, colon);
            String digits = text.substring(colon + 1);
            if (!digits.matches("[0-9]{0,5}")) {
                throw new MalformedException(400, "a port that is none");
            }
            port = digits.isEmpty() ? otherwise : Integer.parseInt(digits);
        }
        return Target.of(host, port).orElseThrow(() -> new MalformedException(400, "a host that is none"));
    }

    /** The host, with the port unless that is the usual one. */
    String hostField() {
        return target.port() == HTTP ? target.urlHost() : target.authority();
    }

    /** The first line's target for a proxy. */
    String absolute() {
        return "http://" + hostField() + (path.equals("*") ? "" : path);
    }
}
