package dev.slipway.proxy;

import dev.slipway.seam.HostStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A guest's connection as a program uses one: blocking reads and writes, over the seam that the stack uses. */
final class GuestSocket implements HostStream.Listener, AutoCloseable {

    private static final int PIECE = 16 << 10;

    final CompletableFuture<Void> connected = new CompletableFuture<>();
    final CompletableFuture<HostStream.ConnectFailure> failure = new CompletableFuture<>();
    private final ProxyRig rig;
    private final MemorySegment memory = Arena.ofAuto().allocate(PIECE);
    private HostStream stream;
    private boolean over;

    private final ArrayDeque<byte[]> toSend = new ArrayDeque<>();
    private int sentOfFirst;
    private boolean endWanted;
    private long position;
    private boolean paused;

    private byte[] received = new byte[PIECE];
    private int start;
    private int end;
    private boolean ended;
    private boolean reset;

    GuestSocket(ProxyRig rig) {
        this.rig = rig;
    }

    void open(HostStream made) {
        stream = made;
    }

    // ---- on the loop

    @Override
    public void connected() {
        connected.complete(null);
    }

    @Override
    public void failed(HostStream.ConnectFailure reason) {
        over = true;
        failure.complete(reason);
    }

    @Override
    public void readable() {
        while (!over && !paused) {
            int bytes = stream.peek(position, memory, 0, PIECE);
            if (bytes == 0) {
                return;
            }
            synchronized (this) {
                if (bytes == HostStream.END) {
                    ended = true;
                    notifyAll();
                    return;
                }
                if (received.length - end < bytes) {
                    byte[] larger = start > received.length / 2 ? received : new byte[received.length * 2 + bytes];
                    System.arraycopy(received, start, larger, 0, end - start);
                    end -= start;
                    start = 0;
                    received = larger;
                }
                MemorySegment.copy(memory, ValueLayout.JAVA_BYTE, 0, received, end, bytes);
                end += bytes;
                notifyAll();
            }
            position += bytes;
            stream.discard(position);
        }
    }

    @Override
    public void writable() {
        pump();
    }

    @Override
    public void reset() {
        over = true;
        synchronized (this) {
            reset = true;
            notifyAll();
        }
    }

    private void pump() {
        while (!over && !toSend.isEmpty() && stream.room() > 0) {
            byte[] first = toSend.peek();
            int bytes = Math.min(first.length - sentOfFirst, Math.min(stream.room(), PIECE));
            stream.write(MemorySegment.ofArray(first), sentOfFirst, bytes);
            sentOfFirst += bytes;
            if (sentOfFirst == first.length) {
                toSend.poll();
                sentOfFirst = 0;
            }
            stream.flush();
        }
        if (!over && toSend.isEmpty() && endWanted) {
            endWanted = false;
            stream.shutdownOutput();
        }
    }

    // ---- for tests

    GuestSocket send(String text) throws Exception {
        return send(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    GuestSocket send(byte[] bytes) throws Exception {
        rig.call(() -> {
            if (bytes.length > 0) {
                toSend.add(bytes);
            }
            pump();
            return null;
        });
        return this;
    }

    GuestSocket sendEnd() throws Exception {
        rig.call(() -> {
            endWanted = true;
            pump();
            return null;
        });
        return this;
    }

    /** Stops or goes on reading what comes. */
    void pause(boolean wanted) throws Exception {
        rig.call(() -> {
            paused = wanted;
            if (!wanted) {
                readable();
            }
            return null;
        });
    }

    /** Bytes that were given to {@link #send} and not taken. */
    long unsent() throws Exception {
        return rig.call(() -> toSend.stream().mapToLong(bytes -> bytes.length).sum() - sentOfFirst);
    }

    private synchronized int available() throws IOException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(ProxyRig.LIMIT_SECONDS);
        while (start == end && !ended && !reset) {
            long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
            if (left <= 0) {
                throw new SocketTimeoutException("nothing came");
            }
            try {
                wait(left);
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
        }
        if (start == end && reset) {
            throw new SocketException("reset");
        }
        return end - start;
    }

    synchronized int read() throws IOException {
        return available() == 0 ? -1 : received[start++] & 0xFF;
    }

    synchronized byte[] read(int length) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        while (out.size() < length) {
            int bytes = Math.min(length - out.size(), available());
            if (bytes == 0) {
                throw new IOException("ended after " + out.size() + " of " + length + " bytes");
            }
            out.write(received, start, bytes);
            start += bytes;
        }
        return out.toByteArray();
    }

    String readText(int length) throws IOException {
        return new String(read(length), StandardCharsets.ISO_8859_1);
    }

    /** Up to and with the empty line. */
    String readHead() throws IOException {
        StringBuilder head = new StringBuilder();
        while (head.indexOf("\r\n\r\n") < 0) {
            int b = read();
            if (b < 0) {
                throw new IOException("ended after: " + head);
            }
            head.append((char) b);
        }
        return head.toString();
    }

    /** A response whose body has a length. */
    String readResponse() throws IOException {
        String head = readHead();
        var length = java.util.regex.Pattern.compile("(?i)\r\ncontent-length: ([0-9]+)")
                .matcher(head);
        return length.find() ? head + readText(Integer.parseInt(length.group(1))) : head;
    }

    /** Everything up to the end. */
    synchronized String readAll() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int bytes = available(); bytes > 0; bytes = available()) {
            out.write(received, start, bytes);
            start += bytes;
        }
        return out.toString(StandardCharsets.ISO_8859_1);
    }

    /** Waits for a reset; what came before it does not count. */
    synchronized boolean awaitReset() throws IOException {
        try {
            while (available() > 0) {
                start = end;
            }
            return false;
        } catch (SocketException e) {
            return true;
        }
    }

    @Override
    public void close() throws Exception {
        rig.call(() -> {
            if (!over && stream != null) {
                over = true;
                stream.reset();
            }
            return null;
        });
    }

    @Override
    public String toString() {
        return "received " + Arrays.toString(Arrays.copyOfRange(received, start, end));
    }
}
