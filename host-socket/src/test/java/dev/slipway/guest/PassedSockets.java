package dev.slipway.guest;

import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ByteChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Sockets that a launcher passes to the backend by their descriptors, 3 and following: one that listens, and connected
 * ones of each type, whose other ends are VM managers' here. The JDK starts no process with other descriptors than
 * standard ones, so the launcher is a program of its own.
 */
final class PassedSockets implements AutoCloseable {

    /** Which channels they are, in the order of their descriptors. */
    static final List<String> CHANNELS = List.of("fd:3/gvproxy", "fd:4", "fd:5", "fd:6");

    /** $^F: the descriptors up to that one stay open when the program becomes another. */
    private static final String LAUNCHER = """
        #!/usr/bin/env perl
        use strict;
        use Socket;
        $^F = 99;
        my ($listening, $stream, $datagrams, $packets);
        sub named { pack_sockaddr_un("%s/$_[0]") }
        socket($listening, AF_UNIX, SOCK_STREAM, 0) && bind($listening, named("listening"))
            && listen($listening, 1) or die "listening: $!";
        socket($stream, AF_UNIX, SOCK_STREAM, 0) && connect($stream, named("stream")) or die "stream: $!";
        socket($datagrams, AF_UNIX, SOCK_DGRAM, 0) && bind($datagrams, named("datagrams"))
            && connect($datagrams, named("vm")) or die "datagrams: $!";
        socket($packets, AF_UNIX, SOCK_SEQPACKET, 0) && connect($packets, named("packets")) or die "packets: $!";
        exec @ARGV;
        """;

    private final Sockets sockets = new Sockets();
    private final Path folder;
    private final ServerSocketChannel stream;
    private final ByteChannel datagrams;
    private final int packets;

    /** Makes the VM managers' ends. */
    PassedSockets(Path folder) throws IOException {
        this.folder = folder;
        stream = ServerSocketChannel.open(StandardProtocolFamily.UNIX)
                .bind(UnixDomainSocketAddress.of(folder.resolve("stream")));
        datagrams = GuestWire.datagrams(folder.resolve("vm"), folder.resolve("datagrams"));
        packets = sockets.open(Sockets.AF_UNIX, Sockets.SOCK_SEQPACKET);
        if (sockets.bind(packets, new SocketAddress().set(folder.resolve("packets"))) < 0
                || sockets.listen(packets, 1) < 0) {
            throw new IOException("no packets at " + folder);
        }
    }

    /** The program that becomes the backend, to be put before its command line. */
    Path launcher() throws IOException {
        Path script = Files.writeString(folder.resolve("launcher"), LAUNCHER.formatted(folder));
        if (!script.toFile().setExecutable(true)) {
            throw new IOException("cannot make it executable: " + script);
        }
        return script;
    }

    /** Connects to the one that listens. */
    ByteChannel listening() throws IOException {
        return GuestWire.shortLengths(GuestWire.qemu(folder.resolve("listening")));
    }

    /** The other end of the connected stream. */
    ByteChannel stream() throws IOException {
        return stream.accept();
    }

    ByteChannel datagrams() {
        return datagrams;
    }

    ByteChannel packets() throws IOException {
        return GuestWire.packets(sockets.accept(packets));
    }

    @Override
    public void close() throws IOException {
        stream.close();
        datagrams.close();
        sockets.close(packets);
    }
}
