package dev.slipway.guest;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a running Slipway holds, by the kernel, its own status and its JVM, after a full collection of garbage.
 *
 * @param descriptors how many there are, by what they lead to
 * @param resident bytes
 * @param heap bytes in use
 * @param objects how many there are, by the names of their classes
 */
record Holdings(
        Map<String, Long> descriptors,
        long resident,
        long heap,
        long tcp,
        long udp,
        long pings,
        long names,
        Map<String, Long> objects) {

    private static final double MIB = 1 << 20;
    /** For a machine that has much else to do. */
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    private static final Pattern ROW = Pattern.compile("^\\s*\\d+:\\s+(\\d+)\\s+\\d+\\s+(\\S+)", Pattern.MULTILINE);
    private static final Pattern USED = Pattern.compile("used ([0-9]+)K");
    /** Ours, buffers, and what stands for native memory. */
    private static final Pattern OBJECTS =
            Pattern.compile("dev\\.slipway\\..*|io\\.netty\\..*|java\\.nio\\..*|jdk\\.internal\\.foreign\\..*");

    static Holdings of(NamespaceGuest machines) throws IOException {
        BackendStatus status = machines.status();
        Map<String, Long> objects = objects(machines);
        giveBackWhatIsFree(machines);
        return new Holdings(
                machines.backend().openFiles(),
                machines.backend().residentBytes(),
                heap(machines),
                status.count("tcpOpen"),
                status.count("udpOpen"),
                status.count("pingOpen"),
                status.count("dnsOutstanding"),
                objects);
    }

    /** The classes of which there are more than before, by so many at least, and how many more. */
    Map<String, Long> moreObjectsThan(Holdings before, long atLeast) {
        return more(before.objects, objects, atLeast);
    }

    /** What more descriptors lead to than before, and how many more. */
    Map<String, Long> moreDescriptorsThan(Holdings before) {
        return more(before.descriptors, descriptors, 1);
    }

    private static Map<String, Long> more(Map<String, Long> before, Map<String, Long> after, long atLeast) {
        Map<String, Long> more = new TreeMap<>();
        after.forEach((name, count) -> {
            long growth = count - before.getOrDefault(name, 0L);
            if (growth >= atLeast) {
                more.put(name, growth);
            }
        });
        return more;
    }

    /** A histogram counts what is reachable, so it collects first. */
    private static Map<String, Long> objects(NamespaceGuest machines) throws IOException {
        Map<String, Long> objects = new TreeMap<>();
        Matcher row = ROW.matcher(jcmd(machines, "GC.class_histogram"));
        while (row.find()) {
            if (OBJECTS.matcher(row.group(2)).matches()) {
                objects.put(row.group(2), Long.parseLong(row.group(1)));
            }
        }
        if (!objects.containsKey("dev.slipway.stack.Stack")) {
            throw new IOException("no stack among " + objects);
        }
        return objects;
    }

    /**
     * What the C library keeps of memory that was freed goes back to the kernel. With the launcher's options the JVM does
     * so each second.
     */
    private static void giveBackWhatIsFree(NamespaceGuest machines) throws IOException {
        jcmd(machines, "System.trim_native_heap");
    }

    private static long heap(NamespaceGuest machines) throws IOException {
        Matcher used = USED.matcher(jcmd(machines, "GC.heap_info"));
        long kilobytes = 0;
        // The young and the old generation; then come the classes'.
        for (int generation = 0; generation < 2 && used.find(); generation++) {
            kilobytes += Long.parseLong(used.group(1));
        }
        return kilobytes << 10;
    }

    private static String jcmd(NamespaceGuest machines, String command) throws IOException {
        String jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
        return Subprocess.run(List.of(jcmd, Long.toString(machines.backend().pid()), command), PATIENCE)
                .orFail()
                .output();
    }

    @Override
    public String toString() {
        return String.format(
                "%d descriptors, %.1f MiB resident, %.2f MiB heap, %d TCP, %d UDP, %d pings, %d queries",
                descriptors.values().stream().mapToLong(Long::longValue).sum(),
                resident / MIB,
                heap / MIB,
                tcp,
                udp,
                pings,
                names);
    }
}
