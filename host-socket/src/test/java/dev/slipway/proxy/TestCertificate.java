package dev.slipway.proxy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;

/** A key, its certificate and an authority that has signed it, made by the JDK's own tool. */
final class TestCertificate {

    private static final String PASSWORD = "changeit";

    private final KeyStore store;
    private final Path folder;

    /** The certificate, in PEM. */
    final Path certificate;

    /** The authority's, in PEM. */
    final Path authority;

    private TestCertificate(KeyStore store, Path folder) throws GeneralSecurityException, IOException {
        this.store = store;
        this.folder = folder;
        this.certificate = pem(
                "certificate.pem", "CERTIFICATE", store.getCertificate("proxy").getEncoded());
        this.authority = pem(
                "authority.pem",
                "CERTIFICATE",
                store.getCertificate("authority").getEncoded());
        store.deleteEntry("authority");
    }

    /**
     * Makes one.
     *
     * @param names as keytool takes them: {@code dns:a.b,ip:127.0.0.1}
     * @param options of keytool, for its time
     */
    static TestCertificate make(Path folder, String names, String... options) throws Exception {
        Files.createDirectories(folder);
        Path file = folder.resolve("keys.p12");
        keytool(file, "-alias", "authority", "-dname", "CN=authority", "-ext", "bc:c");
        List<String> all = new ArrayList<>(
                List.of("-alias", "proxy", "-dname", "CN=proxy", "-ext", "san=" + names, "-signer", "authority"));
        all.addAll(List.of(options));
        keytool(file, all.toArray(new String[0]));
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(file)) {
            store.load(in, PASSWORD.toCharArray());
        }
        return new TestCertificate(store, folder);
    }

    private static void keytool(Path file, String... options) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-keyalg",
                "RSA",
                "-keysize",
                "2048",
                "-storetype",
                "PKCS12",
                "-keystore",
                file.toString(),
                "-storepass",
                PASSWORD));
        command.addAll(List.of(options));
        Path log = file.resolveSibling("keytool.log");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        if (!process.waitFor(60, TimeUnit.SECONDS) || process.exitValue() != 0) {
            process.destroyForcibly();
            throw new IOException(Files.readString(log));
        }
    }

    private Path pem(String file, String what, byte[] bytes) throws IOException {
        String text = "-----BEGIN " + what + "-----\n"
                + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes) + "\n-----END " + what + "-----\n";
        return Files.writeString(folder.resolve(file), text, StandardCharsets.US_ASCII);
    }

    /** The key, in PEM (PKCS 8). */
    Path key() throws GeneralSecurityException, IOException {
        PrivateKey key = (PrivateKey) store.getKey("proxy", PASSWORD.toCharArray());
        return pem("key.pem", "PRIVATE KEY", key.getEncoded());
    }

    /** What a script does with a connection, within TLS that has this certificate. */
    ScriptedServer.Script within(ScriptedServer.Script script) {
        return within(script, "TLSv1.2", "TLSv1.3");
    }

    /** The same with these versions of TLS only. */
    ScriptedServer.Script within(ScriptedServer.Script script, String... versions) {
        return connection -> {
            KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
            keys.init(store, PASSWORD.toCharArray());
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys.getKeyManagers(), null, null);
            try (SSLSocket socket =
                    (SSLSocket) context.getSocketFactory().createSocket(connection.socket(), null, true)) {
                socket.setEnabledProtocols(versions);
                script.serve(new ScriptedServer.Connection(socket, socket.getInputStream(), socket.getOutputStream()));
            }
        };
    }
}
