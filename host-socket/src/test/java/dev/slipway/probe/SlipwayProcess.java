package dev.slipway.probe;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A {@code slipway run} of these classes as a process of its own, with two VMs' sockets, {@code a} and {@code b}. */
final class SlipwayProcess implements AutoCloseable {

    private static final long START_SECONDS = 60;

    private final Path folder;
    private final Process process;

    /**
     * Starts one and waits until VMs can attach.
     *
     * @param descriptors how many it may open, or 0: as many as this process
     * @param jvm options of its JVM
     * @param arguments of {@code run}, beside the sockets
     */
    SlipwayProcess(Path folder, int descriptors, List<String> jvm, String... arguments) throws Exception {
        this.folder = folder;
        List<String> command = new ArrayList<>();
        if (descriptors > 0) {
            command.addAll(List.of("sh", "-c", "ulimit -n " + descriptors + "; exec \"$@\"", "sh"));
        }
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED"));
        command.addAll(jvm);
        command.addAll(List.of("-cp", classPath(), "dev.slipway.Main", "run"));
        command.addAll(
                List.of("--vm", "qemu:" + socket("a"), "--vm", "qemu:" + socket("b"), "--api", api().toString()));
        command.addAll(List.of(arguments));
        process = new ProcessBuilder(command)
                .redirectError(folder.resolve("log").toFile())
                .redirectOutput(folder.resolve("out").toFile())
                .start();
        try {
            until("it is ready", START_SECONDS, () -> {
                if (!process.isAlive()) {
                    throw new IOException("it ended with " + process.exitValue());
                }
                return Files.readString(folder.resolve("out")).startsWith("ready: ");
            });
        } catch (IOException e) {
            close();
            throw new IOException(e.getMessage() + "; its log:\n" + log(), e);
        }
    }

    private static String classPath() {
        return System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    }

    Path socket(String vm) {
        return folder.resolve(vm + ".sock");
    }

    private Path api() {
        return folder.resolve("api.sock");
    }

    String log() throws IOException {
        return Files.readString(folder.resolve("log"), StandardCharsets.UTF_8);
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /** SIGTERM. */
    void terminate() {
        process.toHandle().destroy();
    }

    /** SIGKILL. */
    void kill() {
        process.toHandle().destroyForcibly();
    }

    /** The exit code, if it ends within so many seconds. */
    int exitCode(long seconds) throws Exception {
        if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
            throw new IOException("still alive after " + seconds + " s");
        }
        return process.exitValue();
    }

    /** Processor time that it has used, in milliseconds. */
    long cpuMillis() {
        return process.toHandle().info().totalCpuDuration().orElseThrow().toMillis();
    }

    /** Memory of the process that is resident, in bytes. */
    long residentBytes() throws IOException {
        try (Stream<String> lines = Files.lines(Path.of("/proc/" + process.pid() + "/status"))) {
            String line =
                    lines.filter(each -> each.startsWith("VmRSS:")).findFirst().orElseThrow();
            return Long.parseLong(line.replaceAll("\\D", "")) << 10;
        }
    }

    /** A counter or a drop of VM {@code a} (0) or {@code b} (1); one that is not told is 0. */
    long count(int vm, String name) throws IOException {
        String status = status();
        String[] vms = status.split("\"socket\":");
        Matcher matcher = Pattern.compile("\"" + name + "\":(\\d+)").matcher(vms[vm + 1]);
        return matcher.find() ? Long.parseLong(matcher.group(1)) : 0;
    }

    String status() throws IOException {
        return api("GET", "/v1/status", "");
    }

    /** Asks the control API; the answer is the response with its head. */
    String api(String method, String path, String body) throws IOException {
        try (SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            client.connect(UnixDomainSocketAddress.of(api()));
            client.write(ByteBuffer.wrap((method + " " + path + " HTTP/1.1\r\nHost: slipway\r\nConnection: close\r\n"
                            + "Content-Length: " + body.length() + "\r\n\r\n" + body)
                    .getBytes(StandardCharsets.US_ASCII)));
            ByteBuffer response = ByteBuffer.allocate(1 << 16);
            while (client.read(response) >= 0 && response.hasRemaining()) {
                // Until the server closes.
                continue;
            }
            return StandardCharsets.UTF_8.decode(response.flip()).toString();
        }
    }

    /** Waits for a condition, and says in the failure what it was. */
    static void until(String what, long seconds, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (!condition.call()) {
            if (System.nanoTime() - deadline > 0) {
                throw new IOException("not within " + seconds + " s: " + what);
            }
            LockSupport.parkNanos(10_000_000);
        }
    }

    @Override
    public void close() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }
}
