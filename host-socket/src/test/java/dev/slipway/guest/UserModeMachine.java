package dev.slipway.guest;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * A machine of User Mode Linux, a Linux kernel that is a process, with {@link FirstFiles} and a virtio card that the
 * backend serves by vhost-user. It is there in a second.
 */
final class UserModeMachine {

    /** Where Debian has its modules. */
    static final Path MODULES = Path.of("/usr/lib/uml/modules");

    private UserModeMachine() {}

    /** Starts one; what it prints is its console. */
    static Subprocess start(HostMachine machine, Path socket, String commands) throws IOException {
        Path program = Prerequisites.find("linux.uml").orElseThrow();
        Path files = machine.directory().resolve("initramfs.gz");
        FirstFiles.write(files, new KernelPackage(program, MODULES), commands);
        List<String> command = List.of(
                program.toString(),
                "mem=128M",
                "initrd=" + files,
                "rdinit=/init",
                "con0=null,fd:1",
                "con=null",
                "ssl=null",
                "quiet",
                "virtio_uml.device=" + socket + ":1");
        return machine.host().start(machine.directory().resolve("console"), command);
    }
}
