package dev.slipway.tap;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Which TAP device, as {@code NETNS[/IF]}: NETNS is the name of a namespace that {@code ip netns} knows, the id of a
 * process that lives in it, or the path of a file that names it.
 *
 * @param namespace the file that names the namespace
 * @param device the interface
 */
public record TapAddress(Path namespace, String device) {

    /** The interface that is made if none is named. */
    public static final String DEFAULT_DEVICE = "tap0";

    private static final Path NAMED = Path.of("/run/netns");

    /** Reads it; what does not exist shows when it is opened. */
    public static TapAddress parse(Path text) {
        if (text.isAbsolute()) {
            // A path may itself end in what looks like an interface: the file that is there decides.
            return Files.isRegularFile(text) || text.getNameCount() < 2
                    ? new TapAddress(text, DEFAULT_DEVICE)
                    : new TapAddress(text.getParent(), text.getFileName().toString());
        }
        String name = text.getName(0).toString();
        Path namespace = name.matches("[0-9]{1,10}") && !Files.exists(NAMED.resolve(name))
                ? Path.of("/proc", name, "ns", "net")
                : NAMED.resolve(name);
        return new TapAddress(
                namespace,
                text.getNameCount() < 2
                        ? DEFAULT_DEVICE
                        : text.subpath(1, text.getNameCount()).toString());
    }
}
