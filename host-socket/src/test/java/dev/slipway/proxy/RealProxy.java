package dev.slipway.proxy;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
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
        List<String> at(int port) throws IOException;
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

    /** Skips the test if the program is not there, unless the environment says that all tools are. */
    private static RealProxy start(String program, Path folder, Arguments arguments) throws IOException {
        boolean there = List.of(System.getenv("PATH").split(":")).stream()
                .anyMatch(each -> Files.isExecutable(Path.of(each, program)));
        if (!there && !"required".equals(System.getenv("SLIPWAY_GUEST_TESTS"))) {
            Assumptions.abort(program + " is not installed");
        }
        for (int i = 0; i < TRIES; i++) {
            int port = freePort();
            Path log = folder.resolve(program + "-" + port + ".log");
            Process process = new ProcessBuilder(arguments.at(port))
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

    /** What the program has written. */
    String log() throws IOException {
        return Files.readString(log);
    }

    @Override
    public void close() {
        process.destroyForcibly();
        try {
            process.waitFor(10, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
