package dev.slipway.proxy;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/** A proxy that others wrote, as a process on a free port of 127.0.0.1. */
final class RealProxy implements AutoCloseable {

    private static final int TRIES = 5;
    private static final long START_NANOS = TimeUnit.SECONDS.toNanos(10);

    private final Process process;
    private final Path log;
    final int port;

    private RealProxy(Process process, Path log, int port) {
        this.process = process;
        this.log = log;
        this.port = port;
    }

    /** Makes the command line for a port. */
    private interface Arguments {
        List<String> at(int port) throws IOException, GeneralSecurityException;
    }

    /** An HTTP proxy that wants user and password and opens tunnels to some ports. */
    static RealProxy tinyproxy(Path folder, String user, String password, int... connectPorts) throws IOException {
        return start("tinyproxy", folder, port -> {
            StringBuilder text = new StringBuilder("Port " + port + "\nListen 127.0.0.1\nTimeout 60\nMaxClients 200\n"
                    + "BasicAuth " + user + " " + password + "\n");
            for (int connectPort : connectPorts) {
                text.append("ConnectPort ").append(connectPort).append('\n');
            }
            Path file = Files.writeString(folder.resolve("tinyproxy-" + port + ".conf"), text);
            return List.of("tinyproxy", "-d", "-c", file.toString());
        });
    }

    /** A SOCKS 5 proxy that wants user and password. */
    static RealProxy microsocks(Path folder, String user, String password) throws IOException {
        return start(
                "microsocks",
                folder,
                port -> List.of("microsocks", "-i", "127.0.0.1", "-p", "" + port, "-u", user, "-P", password));
    }

    /**
     * Another HTTP proxy that wants user and password and opens tunnels to one port.
     *
     * @param certificate for TLS; {@code null} for none
     */
    static RealProxy squid(Path folder, String user, String password, TestCertificate certificate, int connectPort)
            throws IOException {
        // Started by root it becomes somebody else, who has to get at its files.
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwxrwx"));
        Path helper = Files.writeString(
                folder.resolve("users.sh"),
                "while read -r line; do [ \"$line\" = '" + user + " " + password
                        + "' ] && echo OK || echo ERR; done\n");
        String listen = certificate == null ? "http_port 127.0.0.1:" : "https_port 127.0.0.1:";
        return start("squid", folder, port -> {
            String keys = "";
            if (certificate != null) {
                Path key = Files.copy(certificate.key(), folder.resolve("key-" + port + ".pem"));
                Path chain = Files.copy(certificate.certificate, folder.resolve("certificate-" + port + ".pem"));
                Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r--r--"));
                keys = " tls-cert=" + chain + " tls-key=" + key;
            }
            String text = listen + port + keys + "\npid_filename none\ncache deny all\ncache_log /dev/null\n"
                    + "cache_mem 0\nmemory_cache_shared off\nnetdb_filename none\nshutdown_lifetime 0 seconds\n"
                    + "access_log stdio:" + accessLog(folder, port) + "\n"
                    + "auth_param basic program /bin/sh " + helper + "\nauth_param basic children 1\n"
                    + "acl users proxy_auth REQUIRED\nacl CONNECT method CONNECT\nacl tunnels port " + connectPort
                    + "\nhttp_access deny CONNECT !tunnels\nhttp_access allow users\nhttp_access deny all\n";
            Path file = Files.writeString(folder.resolve("squid-" + port + ".conf"), text);
            return List.of("squid", "-N", "-n", "slipway" + port, "-f", file.toString());
        });
    }

    /** Another SOCKS 5 proxy, for everybody. */
    static RealProxy dante(Path folder) throws IOException {
        return start("danted", folder, port -> {
            String text = "logoutput: stdout\ninternal: 127.0.0.1 port = " + port + "\n"
                    + "external: 127.0.0.1\n"
                    + "clientmethod: none\n"
                    + "socksmethod: none\n"
                    + "user.unprivileged: nobody\n"
                    + "client pass {\n"
                    + " from: 127.0.0.0/8 to:"
                    + " 0.0.0.0/0\n"
                    + "}\n"
                    + "socks pass {\n"
                    + " from: 0.0.0.0/0 to: 0.0.0.0/0\n"
                    + " command: connect\n"
                    + " protocol: tcp\n"
                    + " log: connect\n"
                    + "}\n";
            Path file = Files.writeString(folder.resolve("danted-" + port + ".conf"), text);
            Path pid = folder.resolve("danted-" + port + ".pid");
            return List.of("danted", "-f", file.toString(), "-p", pid.toString(), "-N", "1");
        });
    }

    /** Skips the test if the program is not there, unless the environment says that all tools are. */
    private static RealProxy start(String program, Path folder, Arguments arguments) throws IOException {
        boolean there = List.of((System.getenv("PATH") + ":/usr/sbin").split(":")).stream()
                .anyMatch(each -> Files.isExecutable(Path.of(each, program)));
        if (!there && !"required".equals(System.getenv("SLIPWAY_GUEST_TESTS"))) {
            Assumptions.abort(program + " is not installed");
        }
        for (int i = 0; i < TRIES; i++) {
            int port = freePort();
            Path log = folder.resolve(program + "-" + port + ".log");
            Process process = new ProcessBuilder(command(arguments, port))
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile())
                    .start();
            RealProxy proxy = new RealProxy(process, log, port);
            if (proxy.listens()) {
                return proxy;
            }
            // Somebody else may have taken the port in the meantime.
            proxy.close();
        }
        throw new IOException(program + " does not start: " + folder);
    }

    private static List<String> command(Arguments arguments, int port) throws IOException {
        try {
            return arguments.at(port);
        } catch (GeneralSecurityException e) {
            throw new IOException(e);
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            return socket.getLocalPort();
        }
    }

    private boolean listens() {
        long begin = System.nanoTime();
        while (process.isAlive() && System.nanoTime() - begin < START_NANOS) {
            try (Socket socket = new Socket()) {
                socket.connect(new InetSocketAddress("127.0.0.1", port), 1_000);
                return true;
            } catch (IOException e) {
                Thread.onSpinWait();
            }
        }
        return false;
    }

    private static Path accessLog(Path folder, int port) {
        return folder.resolve("access-" + port + ".log");
    }

    /** What the program has written. */
    String log() throws IOException {
        Path access = accessLog(log.getParent(), port);
        return Files.readString(log) + (Files.exists(access) ? Files.readString(access) : "");
    }

    @Override
    public void close() {
        // Some leave shared memory behind if they are killed.
        process.descendants().forEach(ProcessHandle::destroy);
        process.destroy();
        try {
            if (!process.waitFor(10, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
