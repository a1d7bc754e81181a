package dev.slipway.proxy;

import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.SSLException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who vouches for the certificates of proxies that are spoken to in TLS: the authorities of a file, or those that the
 * host trusts. Two are equal if they trust the same.
 */
public final class ProxyTrust {

    /** The most that is read of a file, in bytes. */
    static final int MAX_LENGTH = 4 << 20;

    /** Where systems keep the authorities that they trust: Debian and Alpine, Fedora, openSUSE, the BSDs and macOS. */
    private static final List<Path> BUNDLES = List.of(
            Path.of("/etc/ssl/certs/ca-certificates.crt"),
            Path.of("/etc/pki/tls/certs/ca-bundle.crt"),
            Path.of("/etc/ssl/ca-bundle.pem"),
            Path.of("/etc/ssl/cert.pem"));

    private static final Logger LOG = LoggerFactory.getLogger(ProxyTrust.class);

    /**
     * The authorities that this host trusts, or if they are not found those that the JDK brings. They are read when the
     * first proxy of that kind is used.
     */
    public static final ProxyTrust OF_THE_HOST = ofFirst(BUNDLES);

    private final List<Path> bundles;
    private final List<X509Certificate> authorities;
    private CompletableFuture<SslContext> context;

    private ProxyTrust(List<Path> bundles, List<X509Certificate> authorities) {
        this.bundles = bundles;
        this.authorities = authorities;
    }

    /** The authorities of the first of these files that can be read, when they are needed. */
    static ProxyTrust ofFirst(List<Path> bundles) {
        return new ProxyTrust(List.copyOf(bundles), List.of());
    }

    /**
     * Only the authorities of a file, in PEM (RFC 7468).
     *
     * @throws IOException that says what is wrong with the file
     */
    public static ProxyTrust of(Path file) throws IOException {
        return new ProxyTrust(List.of(), read(file));
    }

    private static List<X509Certificate> read(Path file) throws IOException {
        if (!Files.exists(file)) {
            throw new IOException("there is no file " + file);
        }
        if (Files.size(file) > MAX_LENGTH) {
            throw new IOException(file + " is longer than " + MAX_LENGTH + " bytes");
        }
        byte[] bytes = Files.readAllBytes(file);
        List<X509Certificate> found = new ArrayList<>();
        try {
            CertificateFactory factory = CertificateFactory.getInstance("X.509");
            for (Certificate each : factory.generateCertificates(new ByteArrayInputStream(bytes))) {
                found.add((X509Certificate) each);
            }
        } catch (CertificateException e) {
            throw new IOException(file + " has something that is no certificate", e);
        }
        if (found.isEmpty()) {
            throw new IOException(file + " has no certificate");
        }
        return List.copyOf(found);
    }

    /** What TLS is made with. The first call takes long, on a thread of its own. */
    synchronized CompletableFuture<SslContext> context() {
        if (context == null || context.isCompletedExceptionally()) {
            CompletableFuture<SslContext> made = new CompletableFuture<>();
            context = made;
            Thread.ofPlatform().daemon().name("proxy-trust").start(() -> {
                try {
                    made.complete(make());
                } catch (SSLException | RuntimeException | OutOfMemoryError e) {
                    made.completeExceptionally(e);
                }
            });
        }
        return context;
    }

    private SslContext make() throws SSLException {
        SslContextBuilder builder = SslContextBuilder.forClient().sslProvider(SslProvider.JDK);
        List<X509Certificate> trusted = authorities.isEmpty() ? ofTheHost() : authorities;
        if (!trusted.isEmpty()) {
            builder.trustManager(trusted);
        }
        SslContext made = builder.build();
        // Half of what makes the first one slow.
        made.newEngine(UnpooledByteBufAllocator.DEFAULT);
        return made;
    }

    private List<X509Certificate> ofTheHost() {
        for (Path bundle : bundles) {
            try {
                return read(bundle);
            } catch (IOException e) {
                if (Files.exists(bundle)) {
                    LOG.warn("the host's authorities are not used: {}", e.getMessage());
                }
            }
        }
        return List.of();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ProxyTrust trust
                && trust.bundles.equals(bundles)
                && trust.authorities.equals(authorities);
    }

    @Override
    public int hashCode() {
        return 31 * bundles.hashCode() + authorities.hashCode();
    }
}
