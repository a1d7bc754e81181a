package dev.slipway.tap;

import dev.slipway.ethernet.GuestEvents;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.ethernet.SocketPathException;
import dev.slipway.ethernet.SocketPathException.Reason;
import dev.slipway.posix.Errno;
import dev.slipway.posix.TapDevice;
import dev.slipway.virtio.VirtioNetHeader;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import io.netty.channel.EventLoop;
import io.netty.channel.IoEvent;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.Future;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/**
 * The link to a guest that is a network namespace: a TAP device in it, which this process makes.
 *
 * <p>The guest is attached from the start, and until the device is removed or the namespace's file is (an open device
 * keeps a namespace alive that nobody else can enter any more, so the file is looked at each second). Then it is
 * detached, with that reason, for good: another device is another link.
 *
 * <p>Limits: at most {@value #BATCH_FRAMES} frames or {@value #BUFFER} bytes are read in one batch, and {@value
 * #TURN_BYTES} bytes written in a turn before data that can wait has to wait. The kernel keeps {@value #QUEUE} frames
 * from the guest. A frame that the kernel does not take, because the interface is down or memory is short, is dropped
 * and counted.
 */
public final class TapLink implements GuestLink {

    /** Frames that the kernel keeps for us. */
    private static final int QUEUE = 4096;

    private static final int BUFFER = 1 << 20;
    private static final int BATCH_FRAMES = 256;
    private static final int TURN_BYTES = 1 << 20;
    private static final int WATCH_MILLIS = 1_000;
    private static final int HEADER = VirtioNetHeader.LENGTH;
    private static final int SLOT = HEADER + Frame.MAX_LENGTH;

    private final EventLoop loop;
    private final int mtu;
    private final LinkCounters counters = new LinkCounters();
    private final GuestEvents events;
    private final MemorySegment input = Arena.ofAuto().allocate(BUFFER, 64);
    private final MemorySegment output = Arena.ofAuto().allocate(SLOT, 64);
    private final Frame arriving = new Frame();
    private final Frame leaving = new Frame();

    private TapDevice device;
    private IoRegistration registration;
    private Future<?> watch;
    private boolean goingDown;
    private int sentInTurn;
    private boolean starved;
    private boolean closed;

    /**
     * Makes a link without a device.
     *
     * @param loop the event loop that owns it, on epoll
     * @param mtu bytes of the largest IP packet that the guest takes
     */
    public TapLink(EventLoop loop, int mtu) {
        this.loop = loop;
        this.mtu = mtu;
        events = new GuestEvents(loop, counters, () -> device != null);
    }

    /**
     * Makes the device. To be called once, from any thread but the loop's; the receiver's methods run on the event loop.
     *
     * @param place as it was written, for messages; its form is that of {@link TapAddress}
     * @throws SocketPathException that says why there can be no such device
     */
    public void open(String place, Receiver to) throws SocketPathException {
        TapAddress address = TapAddress.parse(Path.of(place));
        TapDevice opened;
        try {
            opened = TapDevice.open(address.namespace(), address.device(), mtu, QUEUE);
        } catch (IOException e) {
            throw new SocketPathException(place, Reason.NO_DEVICE, e.getMessage(), e);
        }
        try {
            loop.submit(() -> start(opened, to, address.namespace())).get();
        } catch (ExecutionException e) {
            opened.close();
            throw new SocketPathException(place, Reason.NO_DEVICE, "cannot wait for its frames", e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new SocketPathException(place, Reason.NO_DEVICE, "interrupted", e);
        }
    }

    private void start(TapDevice opened, Receiver to, Path namespace) {
        Future<IoRegistration> registered = ((IoEventLoop) loop).register(new Handle(opened.fd()));
        if (!registered.isSuccess()) {
            throw new IllegalStateException("not registered with the event loop", registered.cause());
        }
        events.to(to);
        device = opened;
        registration = registered.getNow();
        counters.connection();
        events.attached();
        registration.submit(EpollIoOps.EPOLLIN);
        Object key = key(namespace);
        watch = loop.scheduleWithFixedDelay(
                () -> {
                    if (device != null && !Objects.equals(key(namespace), key)) {
                        gone("the network namespace " + namespace + " is gone");
                    }
                },
                WATCH_MILLIS,
                WATCH_MILLIS,
                TimeUnit.MILLISECONDS);
    }

    /** What tells a namespace from one that took its name; null if there is none. */
    private static Object key(Path namespace) {
        try {
            return Files.readAttributes(namespace, BasicFileAttributes.class).fileKey();
        } catch (IOException e) {
            return null;
        }
    }

    // --- to the guest -------------------------------------------------------------------------------------------

    @Override
    public int room() {
        if (device == null) {
            return 0;
        }
        int room = TURN_BYTES - sentInTurn;
        starved |= room < Frame.MAX_LENGTH;
        return room;
    }

    @Override
    public Frame begin(int capacity) {
        if (capacity < 0 || capacity > Frame.MAX_LENGTH) {
            throw new IllegalArgumentException("a frame of " + capacity + " bytes, the limit is " + Frame.MAX_LENGTH);
        }
        return leaving.set(output, HEADER, capacity);
    }

    @Override
    public void send(Frame frame) {
        int length = frame.length();
        if (device == null || !VirtioNetHeader.write(frame, output, 0, 1)) {
            counters.dropToGuest();
            return;
        }
        if (frame.bytes() != output || frame.offset() != HEADER) {
            MemorySegment.copy(frame.bytes(), frame.offset(), output, HEADER, length);
        }
        int written = device.write(output, 0, HEADER + (long) length);
        if (written < 0) {
            counters.dropToGuest();
            if (isGone(written)) {
                goneLater(written);
            }
            return;
        }
        sentInTurn += length;
        counters.toGuest(length);
    }

    @Override
    public void flush() {
        sentInTurn = 0;
        if (starved) {
            starved = false;
            events.postReady();
        }
    }

    // --- from the guest -----------------------------------------------------------------------------------------

    private void readable() {
        int position = 0;
        int frames = 0;
        int result = 0;
        while (device != null && frames < BATCH_FRAMES && BUFFER - position >= SLOT) {
            result = device.read(input, position, SLOT);
            if (result < 0) {
                break;
            }
            frames++;
            int length = result - HEADER;
            if (length < EthernetFrame.HEADER_LENGTH) {
                counters.lostFraming();
                continue;
            }
            arriving.set(input, position + HEADER, length);
            counters.fromGuest(length);
            if (VirtioNetHeader.read(input, position, arriving)) {
                events.frame(arriving);
                position = position + result + 15 & ~15;
            } else {
                counters.badOffload();
            }
        }
        if (frames > 0) {
            events.endOfBatch();
        }
        if (isGone(result)) {
            gone(removed(result));
        }
    }

    /** Whether an error says that there is no device any more, rather than that it is down or has nothing. */
    private static boolean isGone(int result) {
        return result < 0
                && result != -Errno.EAGAIN
                && result != -Errno.EINTR
                && result != -Errno.EIO
                && result != -Errno.ENOMEM
                && result != -Errno.ENOBUFS
                && result != -Errno.EINVAL;
    }

    /** Not from within a call of the receiver's own. */
    private void goneLater(int result) {
        if (!goingDown) {
            goingDown = true;
            loop.execute(() -> gone(removed(result)));
        }
    }

    private static String removed(int result) {
        return "the TAP device was removed (" + Errno.name(-result) + ")";
    }

    private void gone(String reason) {
        if (device == null) {
            return;
        }
        release();
        events.detached(reason);
    }

    private void release() {
        TapDevice old = device;
        device = null;
        watch.cancel(false);
        registration.cancel();
        old.close();
    }

    // --- for others ---------------------------------------------------------------------------------------------

    @Override
    public boolean isAttached() {
        return device != null;
    }

    @Override
    public LinkCounters counters() {
        return counters;
    }

    /** Removes the device. No event follows. From any thread. */
    @Override
    public void close() {
        if (!loop.inEventLoop()) {
            loop.execute(this::close);
            return;
        }
        if (!closed) {
            closed = true;
            if (device != null) {
                release();
            }
        }
    }

    /** The descriptor on the event loop. */
    private final class Handle implements EpollIoHandle {

        private final FileDescriptor descriptor;

        Handle(int fd) {
            descriptor = new FileDescriptor(fd);
        }

        @Override
        public FileDescriptor fd() {
            return descriptor;
        }

        @Override
        public void handle(IoRegistration ignored, IoEvent event) {
            if (device != null) {
                readable();
            }
        }

        @Override
        public void close() {
            TapLink.this.close();
        }
    }
}
