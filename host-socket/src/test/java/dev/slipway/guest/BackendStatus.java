package dev.slipway.guest;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a running Slipway tells of a VM at {@code GET /v1/status}.
 *
 * @param attached whether a guest is connected
 * @param counts counters by their names, and drops by their reasons; a drop that never happened is missing
 */
record BackendStatus(boolean attached, Map<String, Long> counts) {

    private static final int LONGEST = 1 << 16;
    private static final Pattern COUNT = Pattern.compile("\"([A-Za-z0-9-]+)\":(\\d+)");

    private static final String VM = "{\"socket\":\"";

    /** Of its only VM. */
    static BackendStatus ask(Path api) throws IOException {
        return parse(status(api));
    }

    /** Of the VM whose channel's name begins so, the first of them. */
    static BackendStatus ask(Path api, String vm) throws IOException {
        String all = status(api);
        int begin = all.indexOf(VM + vm);
        if (begin < 0) {
            throw new IOException("no VM " + vm + " in " + all);
        }
        int next = all.indexOf(VM, begin + 1);
        return parse(all.substring(begin, next < 0 ? all.length() : next));
    }

    private static String status(Path api) throws IOException {
        String response = request(api);
        if (!response.startsWith("HTTP/1.1 200 ")) {
            throw new IOException("no status at " + api + ": " + response);
        }
        return response;
    }

    private static BackendStatus parse(String response) {
        Map<String, Long> counts = new TreeMap<>();
        Matcher matcher = COUNT.matcher(response);
        while (matcher.find()) {
            counts.put(matcher.group(1), Long.parseLong(matcher.group(2)));
        }
        return new BackendStatus(response.contains("\"attached\":true"), counts);
    }

    long count(String name) {
        return counts.getOrDefault(name, 0L);
    }

    private static String request(Path api) throws IOException {
        try (SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            client.connect(UnixDomainSocketAddress.of(api));
            String request = "GET /v1/status HTTP/1.1\r\nHost: slipway\r\nConnection: close\r\n\r\n";
            client.write(ByteBuffer.wrap(request.getBytes(StandardCharsets.US_ASCII)));
            ByteBuffer response = ByteBuffer.allocate(LONGEST);
            int read = 0;
            while (read >= 0 && response.hasRemaining()) {
                read = client.read(response);
            }
            return StandardCharsets.UTF_8.decode(response.flip()).toString();
        }
    }
}
