package dev.slipway;

import java.io.PrintStream;
import java.util.Arrays;
import picocli.CommandLine;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.OverwrittenOptionException;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** The program: finds the command, parses its flags, runs it. Only the command that is wanted is ever built. */
public final class Main {

    private static final String HELP = """
        Slipway gives virtual machines a network without root, bridges or firewall rules: the VM's
        Ethernet frames come in through a Unix socket, and what they carry leaves as ordinary sockets
        of this process, through whatever VPN the host is on.

        Usage: slipway COMMAND [OPTIONS]

          run      Serves the network of one or more VMs until it is stopped
          shell    Runs a command whose only network is Slipway, no VM needed
          demo     Shows all of it at work on this machine, in seconds, without a VM
          probe    Acts as a VM on a frame socket, says what works and how fast
          ports    Lists the ports that a running network publishes
          publish, unpublish
                   Publishes a port of a running network, or takes it back
          flows    Lists connections of the guests of a running network
          stats    Shows the counters of a running network
          gvproxy, vpnkit
                   Take the command lines of these two; links of these names do, too
          help     Explains a command: slipway help run

        A VM with QEMU, in two commands:

          slipway run --vm qemu:/tmp/vm.sock
          qemu-system-x86_64 -m 1G -drive file=disk.img,if=virtio -device virtio-net,netdev=n0 \\
              -netdev stream,id=n0,server=off,addr.type=unix,addr.path=/tmp/vm.sock

        The same in a file, and a look at it without a VM:

          printf 'vm: [qemu:/tmp/vm.sock]\\nmtu: 1500\\n' > slipway.yml
          slipway run --config slipway.yml
          slipway probe /tmp/vm.sock http://example.com/

        Exit codes: 0 done, 1 failed while running, 2 wrong usage or settings.
        """;

    /** The system property that says by what name the program was started. */
    private static final String NAME = "slipway.name";

    private static final String GVPROXY = "gvproxy";
    private static final String VPNKIT = "vpnkit";

    private Main() {}

    /** Runs the program and exits with its code. */
    public static void main(String[] args) {
        int code = run(args, System.out, System.err);
        System.out.flush();
        System.exit(code);
    }

    /** Runs the program and returns its exit code. */
    static int run(String[] args, PrintStream out, PrintStream err) {
        String first = args.length == 0 ? "" : args[0];
        String name = System.getProperty(NAME, "");
        if (name.equals(GVPROXY) || name.equals(VPNKIT)) {
            return dropIn(name, args, out, err);
        }
        switch (first) {
            case GVPROXY, VPNKIT -> {
                return dropIn(first, Arrays.copyOfRange(args, 1, args.length), out, err);
            }
            case "" -> {
                err.print(HELP);
                return Command.USAGE;
            }
            case "help", "--help", "-h" -> {
                return help(args, out, err);
            }
            case "--version", "-V", "version" -> {
                out.println("slipway " + version());
                return Command.DONE;
            }
            default -> {
                Command command = command(first);
                if (command == null) {
                    err.println("slipway: " + first + ": unknown " + (first.startsWith("-") ? "option" : "command")
                            + " (run, shell, demo, probe, ports, publish, unpublish, flows, stats, gvproxy, vpnkit,"
                            + " help, --version)");
                    return Command.USAGE;
                }
                return run(command, Arrays.copyOfRange(args, 1, args.length), out, err);
            }
        }
    }

    private static int dropIn(String name, String[] args, PrintStream out, PrintStream err) {
        try {
            return name.equals(GVPROXY) ? GvproxyCommand.run(args, out, err) : VpnkitCommand.run(args, out, err);
        } catch (SettingsException e) {
            err.println(name + ": " + e.getMessage());
            return Command.USAGE;
        }
    }

    private static int help(String[] args, PrintStream out, PrintStream err) {
        if (args.length < 2 || !args[0].equals("help")) {
            out.print(HELP);
            return Command.DONE;
        }
        Command command = command(args[1]);
        if (command == null) {
            err.println("slipway: help: unknown command '" + args[1]
                    + "' (run, shell, demo, probe, ports, publish, unpublish, flows, stats, events)");
            return Command.USAGE;
        }
        usage(command).usage(out);
        return Command.DONE;
    }

    private static Command command(String name) {
        return switch (name) {
            case "run" -> new RunCommand();
            case "demo" -> new DemoCommand();
            case "probe" -> new ProbeCommand();
            case "ports", "publish", "unpublish", "flows", "stats", "events" -> new ApiCommand(name);
            case "shell" -> new ShellCommand();
            case "train" -> new TrainCommand();
            default -> null;
        };
    }

    private static CommandLine usage(Command command) {
        CommandSpec spec = command.spec();
        spec.addOption(OptionSpec.builder("-h", "--help")
                .usageHelp(true)
                .description("Shows this help")
                .build());
        spec.usageMessage().sortOptions(false).width(100).synopsisHeading("Usage: ");
        return new CommandLine(spec).setExpandAtFiles(false);
    }

    private static int run(Command command, String[] args, PrintStream out, PrintStream err) {
        CommandLine commandLine = usage(command);
        try {
            ParseResult parsed = commandLine.parseArgs(args);
            if (parsed.isUsageHelpRequested()) {
                commandLine.usage(out);
                return Command.DONE;
            }
            return command.run(parsed, out, err);
        } catch (ParameterException e) {
            err.println("slipway: " + explain(e, args));
            err.println("slipway: see " + commandLine.getCommandSpec().qualifiedName() + " --help");
            return Command.USAGE;
        } catch (SettingsException e) {
            err.println("slipway: " + e.getMessage());
            return Command.USAGE;
        }
    }

    /** What is wrong with the flags, place first. */
    private static String explain(ParameterException e, String[] args) {
        return switch (e) {
            case UnmatchedArgumentException unmatched -> {
                String argument = unmatched.getUnmatched().getFirst();
                yield argument + (argument.startsWith("-") ? ": unknown option" : ": one argument too many");
            }
            case OverwrittenOptionException overwritten ->
                overwritten.getOverwritten() instanceof OptionSpec option
                        ? option.longestName() + ": given twice"
                        : overwritten.getMessage();
            case MissingParameterException missing -> {
                var argument = missing.getMissing().getFirst();
                yield argument instanceof OptionSpec option
                        ? option.longestName() + ": needs a value, " + option.paramLabel()
                        : argument.paramLabel() + ": is missing";
            }
            default ->
                args.length > 0 && e.getArgSpec() instanceof OptionSpec option
                        ? option.longestName() + ": " + e.getMessage()
                        : e.getMessage();
        };
    }

    /** The version that the build wrote into the jar, or {@code development} where there is no jar. */
    public static String version() {
        String version = Main.class.getPackage().getImplementationVersion();
        return version == null ? "development" : version;
    }
}
