package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Two guests with real kernels on one network: one with offload, by a TAP device, and one without, by a stream. */
final class TwoGuests implements AutoCloseable {

    static final String TAP_MAC = "52:54:00:00:00:0a";
    static final String STREAM_MAC = "52:54:00:00:00:0b";

    private final HostMachine machine;
    private final Guest tap;
    private final Guest stream;

    /**
     * One of them.
     *
     * @param vm how the name of its channel begins
     * @param interfaceId the end of its addresses of IPv6, which follows from its MAC address
     * @param address by DHCP
     */
    record Guest(Namespace namespace, String vm, String mac, String interfaceId, String address) {

        /** Its link-local address. */
        String ipv6() {
            return "fe80::" + interfaceId;
        }

        /** Its address in the network, if that has IPv6. */
        String ipv6OfTheNetwork() {
            return "fd65::" + interfaceId;
        }
    }

    private TwoGuests(HostMachine machine, Guest tap, Guest stream) {
        this.machine = machine;
        this.tap = tap;
        this.stream = stream;
    }

    /** Starts a backend with options of its own, and both guests with a lease. */
    static TwoGuests start(String... options) throws IOException {
        Namespace tap = Namespace.create("tap");
        List<String> all = new ArrayList<>(List.of("--vm", "tap:" + tap.name() + "/eth0"));
        all.addAll(Arrays.asList(options));
        HostMachine machine = HostMachine.start(Backend.SLIPWAY, all.toArray(String[]::new));
        try {
            machine.add(tap);
            Namespace stream = machine.add(Namespace.create("stream"));
            TapRelay relay = machine.add(new TapRelay(stream.call(() -> LinuxCalls.openTap("eth0"))));
            stream.ip("link set eth0 address " + STREAM_MAC + " txqueuelen 20000");
            for (Namespace guest : List.of(tap, stream)) {
                // Addresses of IPv6 are usable at once.
                guest.sysctl("ipv6/conf/eth0/accept_dad", "0");
            }
            tap.ip("link set eth0 down");
            tap.ip("link set eth0 address " + TAP_MAC);
            tap.ip("link set eth0 up");
            stream.ip("link set eth0 up");
            relay.captureToFile(CaptureFile.runningTest());
            relay.connect(machine.socket());
            String ofTap = lease(machine, tap).address();
            String ofStream = lease(machine, stream).address();
            assertThat(ofTap).isNotEqualTo(ofStream);
            return new TwoGuests(
                    machine,
                    new Guest(tap, "tap:", TAP_MAC, "5054:ff:fe00:a", ofTap),
                    new Guest(stream, "qemu:", STREAM_MAC, "5054:ff:fe00:b", ofStream));
        } catch (IOException | RuntimeException e) {
            machine.close();
            throw e;
        }
    }

    /** Asks for a lease in a guest's namespace. */
    static Lease lease(HostMachine machine, Namespace guest) throws IOException {
        String script = Lease.writeScript(machine.directory()).toString();
        guest.run("busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "10", "-T", "1", "-s", script)
                .orFail();
        return Lease.take(machine.directory());
    }

    HostMachine machine() {
        return machine;
    }

    Guest tap() {
        return tap;
    }

    Guest stream() {
        return stream;
    }

    List<Guest> both() {
        return List.of(tap, stream);
    }

    Guest otherThan(Guest one) {
        return one == tap ? stream : tap;
    }

    /** What is told of one of the two VMs. */
    BackendStatus status(Guest guest) throws IOException {
        return machine.status(guest.vm());
    }

    long count(Guest guest, String counter) throws IOException {
        return status(guest).count(counter);
    }

    @Override
    public void close() {
        machine.close();
    }
}
