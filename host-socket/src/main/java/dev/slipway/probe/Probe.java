package dev.slipway.probe;

import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.URI;
import java.nio.file.Path;
import java.util.function.Supplier;

/**
 * The steps of a guest that finds its way into a network: lease, neighbour, ping, names, HTTP. Each is bounded in time
 * and says in a few words what it saw. The order is that of a machine that starts; each step builds on those before.
 */
public final class Probe implements AutoCloseable {

    private static final long SECOND = 1_000_000_000L;
    private static final long STEP_LIMIT = 5 * SECOND;
    private static final int PINGS = 5;
    private static final int PING_PAYLOAD = 56;
    private static final int LARGEST_PIECE = 1 << 18;

    private final Guest guest;
    private final int largestMtu;
    private Lease lease;

    private Probe(Guest guest, int largestMtu) {
        this.guest = guest;
        this.largestMtu = largestMtu;
    }

    /**
     * Attaches to a backend.
     *
     * @param largestMtu the guest's MTU is the lease's, but not more than this
     * @throws IOException if nothing listens on the socket
     */
    public static Probe attach(Path socket, int largestMtu) throws IOException {
        return new Probe(Guest.attach(socket), largestMtu);
    }

    /**
     * Attaches a guest whose processor is taken away from time to time.
     *
     * @param frames that come from one such time to the next
     */
    public static Probe attachStalling(Path socket, int largestMtu, int frames) throws IOException {
        return new Probe(Guest.attachStalling(socket, frames), largestMtu);
    }

    /** The steps of {@code slipway probe}. */
    public void run(Report report, URI url, long uploadBytes, boolean strict) {
        if (!report.must("DHCP lease", this::acquireLease)) {
            return;
        }
        report.must("ARP of the gateway", this::resolveGateway);
        step(report, strict, "ping the gateway", this::pingGateway);
        step(report, strict, "DNS host.docker.internal", () -> lookUp("host.docker.internal"));
        if (url == null) {
            report.skip("HTTP", "no URL given");
        } else {
            Integer[] address = new Integer[1];
            boolean found = report.must("way to " + url.getHost(), () -> {
                address[0] = addressOf(url.getHost());
                return IpAddress.toString(address[0]);
            });
            if (found) {
                report.must("HTTP GET", () -> get(url, address[0]));
            }
            if (found && uploadBytes > 0) {
                report.must("HTTP POST", () -> post(url, address[0], uploadBytes));
            }
        }
        report.must("frames well formed", this::checkFrames);
    }

    private static void step(Report report, boolean strict, String name, Report.Step step) {
        if (strict) {
            report.must(name, step);
        } else {
            report.may(name, step);
        }
    }

    /** DHCP. */
    public String acquireLease() throws IOException {
        lease = new DhcpClient(guest).acquire(2 * STEP_LIMIT);
        guest.configure(lease, largestMtu);
        return lease.describe();
    }

    /** ARP. */
    public String resolveGateway() throws IOException {
        long mac = guest.resolve(gateway(), STEP_LIMIT);
        if (mac < 0) {
            throw new IOException("nobody answers for " + IpAddress.toString(gateway()));
        }
        return IpAddress.toString(gateway()) + " is at " + MacAddress.toString(mac);
    }

    private int gateway() throws IOException {
        if (lease == null || lease.router() == 0) {
            throw new IOException("the lease names no router");
        }
        return lease.router();
    }

    /** ICMP echo; the best of a few. */
    public String pingGateway() throws IOException {
        long best = Long.MAX_VALUE;
        int answered = 0;
        for (int i = 0; i < PINGS && i - answered < 2; i++) {
            long nanos = guest.ping(gateway(), PING_PAYLOAD, SECOND);
            if (nanos >= 0) {
                answered++;
                best = Math.min(best, nanos);
            }
        }
        if (answered < PINGS) {
            throw new IOException(answered == 0 ? "no reply" : "only " + answered + " of " + PINGS + " replies");
        }
        return answered + " of " + PINGS + " replies, best round trip " + Report.time(best);
    }

    /** A records of a name, which must exist. */
    public String lookUp(String name) throws IOException {
        return IpAddress.toString(addressOf(name));
    }

    /** The IPv4 address of a name, or of an address in text. */
    public int addressOf(String host) throws IOException {
        if (host.matches("[0-9.]+")) {
            try {
                return IpAddress.parseV4(host);
            } catch (IllegalArgumentException e) {
                throw new IOException(e.getMessage(), e);
            }
        }
        if (lease == null || lease.nameServers().isEmpty()) {
            throw new IOException("the lease names no name server");
        }
        DnsClient.Answer answer = new DnsClient(guest, lease.nameServers().getFirst()).lookUp(host, STEP_LIMIT);
        if (answer.addresses().isEmpty()) {
            throw new IOException(answer.describe());
        }
        return answer.addresses().getFirst();
    }

    /**
     * Asks for ever new names of a domain.
     *
     * @param window queries that wait for an answer at a time
     * @return how many were answered
     */
    public long lookUps(String domain, int window, long nanos) throws IOException {
        return new DnsLoad(guest, gateway(), DnsMessage.PORT, domain).run(window, nanos);
    }

    /** The same of a server of one's own, on any port. */
    public long lookUpsAt(String host, int port, String domain, int window, long nanos) throws IOException {
        return new DnsLoad(guest, addressOf(host), port, domain).run(window, nanos);
    }

    /**
     * Gets a page on several connections at a time, for some time.
     *
     * @return bytes that came
     */
    public long downloads(URI url, int connections, long nanos) throws IOException {
        return load(url, "GET", () -> null).run(connections, nanos);
    }

    /**
     * Posts a pattern on several connections at a time, for some time, without an end.
     *
     * @return bytes that the connections took to be sent
     */
    public long uploads(URI url, Pattern pattern, int connections, long nanos) throws IOException {
        return load(url, "POST", () -> new Upload(pattern, -1, Long.MAX_VALUE, Long.MAX_VALUE))
                .run(connections, nanos);
    }

    private TcpLoad load(URI url, String method, Supplier<HttpClient.Body> bodies) throws IOException {
        String request = method + " " + path(url) + " HTTP/1.0\r\n\r\n";
        return new TcpLoad(guest, addressOf(url.getHost()), port(url), request, bodies);
    }

    /** Fetches a page; any length. */
    public String get(URI url, int address) throws IOException {
        HttpClient.Response response = client(url, address)
                .exchange("GET", path(url), null, (position, bytes, offset, length) -> {}, 60 * SECOND);
        return describe(response);
    }

    private static String describe(HttpClient.Response response) throws IOException {
        String text = "status " + response.status() + ", " + Report.bytes(response.bodyLength()) + ", connected in "
                + Report.time(response.connectNanos());
        if (response.status() >= 400) {
            throw new IOException(text);
        }
        return response.bodyLength() < 1 << 20
                ? text
                : text + ", " + Report.rate(response.bodyLength(), response.nanos());
    }

    /** Uploads as many bytes, their length announced. */
    public String post(URI url, int address, long length) throws IOException {
        Upload upload = new Upload(new Pattern(1), length, length, Long.MAX_VALUE);
        HttpClient.Response response = client(url, address)
                .exchange("POST", path(url), upload, (position, bytes, offset, count) -> {}, 60 * SECOND);
        if (response.status() >= 400) {
            throw new IOException("status " + response.status());
        }
        return "status " + response.status() + ", " + sent(length, response);
    }

    private static String sent(long length, HttpClient.Response response) {
        return Report.bytes(length) + ", " + Report.rate(length, response.nanos())
                + (response.retransmissions() == 0 ? "" : ", " + response.retransmissions() + " segments sent again");
    }

    /** Fetches a page and compares its text. */
    public String fetchText(URI url, String expected) throws IOException {
        HttpClient.Response response = client(url, addressOf(url.getHost()))
                .exchange("GET", path(url), null, (position, bytes, offset, length) -> {}, STEP_LIMIT);
        if (response.status() != 200 || !response.text().equals(expected)) {
            throw new IOException(
                    "status " + response.status() + ", text '" + response.text().strip() + "'");
        }
        return url + ": '" + expected.strip() + "'";
    }

    /** Reads a stream of unknown length to its end and compares every byte with a pattern. */
    public long download(URI url, Pattern pattern, StringBuilder seen, long limitNanos) throws IOException {
        long[] difference = {-1};
        HttpClient.Response response = client(url, addressOf(url.getHost()))
                .exchange(
                        "GET",
                        path(url),
                        null,
                        (position, bytes, offset, length) -> {
                            if (difference[0] < 0) {
                                difference[0] = pattern.firstDifference(position, bytes, offset, length);
                            }
                        },
                        limitNanos);
        if (response.status() != 200) {
            throw new IOException("status " + response.status());
        }
        if (difference[0] >= 0) {
            throw new IOException("byte " + difference[0] + " is not what was sent");
        }
        seen.append(Report.bytes(response.bodyLength())).append(", ");
        seen.append(Report.rate(response.bodyLength(), response.nanos()));
        return response.bodyLength();
    }

    /**
     * Sends a pattern for some time, ends its half of the connection, and reads what the server says then.
     *
     * @param seen gets what was seen
     * @param answer gets the response's text
     * @return bytes sent
     */
    public long upload(URI url, Pattern pattern, long nanos, StringBuilder seen, StringBuilder answer)
            throws IOException {
        Upload upload = new Upload(pattern, -1, Long.MAX_VALUE, guest.now() + nanos);
        HttpClient.Response response = client(url, addressOf(url.getHost()))
                .exchange("POST", path(url), upload, (position, bytes, offset, length) -> {}, nanos + 30 * SECOND);
        if (response.status() != 200) {
            throw new IOException("status " + response.status());
        }
        seen.append(sent(upload.position, response));
        answer.append(response.text());
        return upload.position;
    }

    /** Looks at what came with headers or checksums that cannot be. */
    public String checkFrames() throws IOException {
        if (guest.rejected().total() != 0) {
            throw new IOException("rejected: " + guest.rejected());
        }
        return "every header and checksum from the backend was right";
    }

    private HttpClient client(URI url, int address) {
        return new HttpClient(guest, address, port(url), url.getHost());
    }

    private static int port(URI url) {
        return url.getPort() < 0 ? 80 : url.getPort();
    }

    private static String path(URI url) {
        String path = url.getRawPath() == null || url.getRawPath().isEmpty() ? "/" : url.getRawPath();
        return url.getRawQuery() == null ? path : path + "?" + url.getRawQuery();
    }

    @Override
    public void close() throws IOException {
        guest.close();
    }

    /** A pattern up to a length or a time. */
    private final class Upload implements HttpClient.Body {
        private final Pattern pattern;
        private final long announced;
        private final long length;
        private final long until;
        private long position;

        Upload(Pattern pattern, long announced, long length, long until) {
            this.pattern = pattern;
            this.announced = announced;
            this.length = length;
            this.until = until;
        }

        @Override
        public long announcedLength() {
            return announced;
        }

        @Override
        public boolean write(TcpConnection connection) {
            while (position < length && connection.writable() > 0) {
                int piece = (int) Math.min(Math.min(pattern.run(position), LARGEST_PIECE), length - position);
                MemorySegment bytes = pattern.bytes();
                position += connection.write(bytes, pattern.offset(position), piece);
            }
            return position < length && guest.now() < until;
        }
    }
}
