package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.host.Destinations.Way;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.ServiceRelay;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.net.InetAddress;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class DestinationsTest {

    private static final IpAddress OWN = address("203.0.113.9");

    private static IpAddress address(String text) {
        return IpAddress.ofBytes(InetAddress.ofLiteral(text).getAddress());
    }

    private static Destinations with(boolean hostAccess, boolean allowLinkLocal) {
        return new Destinations(
                StackSettings.defaults(),
                new HostPolicy(hostAccess, allowLinkLocal),
                new HostInterfaces(() -> Set.of(OWN), () -> 0));
    }

    @ParameterizedTest
    @CsvSource({
        "192.168.65.254, LOCALHOST",
        "192.168.65.1, NOBODY_LISTENS",
        "192.168.65.0, HOST_UNREACHABLE",
        "192.168.65.3, HOST_UNREACHABLE",
        "192.168.65.255, HOST_UNREACHABLE",
        "192.168.64.255, DIRECT",
        "192.168.66.0, DIRECT",
        "127.0.0.1, HOST_UNREACHABLE",
        "127.255.255.255, HOST_UNREACHABLE",
        "126.255.255.255, DIRECT",
        "128.0.0.0, DIRECT",
        "0.0.0.0, HOST_UNREACHABLE",
        "0.255.255.255, HOST_UNREACHABLE",
        "1.0.0.0, DIRECT",
        "223.255.255.255, DIRECT",
        "224.0.0.1, HOST_UNREACHABLE",
        "239.255.255.250, HOST_UNREACHABLE",
        "240.0.0.1, HOST_UNREACHABLE",
        "255.255.255.255, HOST_UNREACHABLE",
        "169.254.169.254, PROHIBITED",
        "169.253.255.255, DIRECT",
        "169.255.0.0, DIRECT",
        "203.0.113.9, DIRECT",
        "10.0.0.1, DIRECT",
        "::1, NETWORK_UNREACHABLE",
        "::, NETWORK_UNREACHABLE",
        "fe80::1, NETWORK_UNREACHABLE",
        "fd00:ec2::254, NETWORK_UNREACHABLE",
        "2001:db8::1, NETWORK_UNREACHABLE",
    })
    void everyDestinationLeadsWhereTheTableSays(String destination, Way way) {
        assertThat(with(true, false).judge(address(destination))).isEqualTo(way);
    }

    private static Destinations withIpv6(boolean hostAccess, boolean allowLinkLocal) {
        return new Destinations(
                StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS),
                new HostPolicy(hostAccess, allowLinkLocal),
                new HostInterfaces(() -> Set.of(OWN, address("2001:db8::9")), () -> 0));
    }

    @ParameterizedTest
    @CsvSource({
        "fd65::254, LOCALHOST",
        "fd65::1, NOBODY_LISTENS",
        "fe80::1, NOBODY_LISTENS",
        "fd65::, HOST_UNREACHABLE",
        "fd65::77, HOST_UNREACHABLE",
        "fd65:0:0:1::1, DIRECT",
        "::, HOST_UNREACHABLE",
        "::1, HOST_UNREACHABLE",
        "::7f00:1, HOST_UNREACHABLE",
        "ff02::1, HOST_UNREACHABLE",
        "ff0e::1, HOST_UNREACHABLE",
        "fe80::2, PROHIBITED",
        "febf::2, PROHIBITED",
        "fec0::2, PROHIBITED",
        "fd00:ec2::254, PROHIBITED",
        "fd00:ec2::253, DIRECT",
        "2002:7f00:1::1, HOST_UNREACHABLE",
        "2002:a9fe:a9fe::1, PROHIBITED",
        "2002:c0a8:41fe::1, HOST_UNREACHABLE",
        "2002:808:808::1, DIRECT",
        "64:ff9b::7f00:1, HOST_UNREACHABLE",
        "64:ff9b::a9fe:a9fe, PROHIBITED",
        "64:ff9b:1::a9fe:a9fe, PROHIBITED",
        "64:ff9b::808:808, DIRECT",
        "2001::5601:5601, PROHIBITED",
        "2001:db8::1, DIRECT",
        "2001:db8::9, DIRECT",
        "192.168.65.254, LOCALHOST",
    })
    void everyDestinationOfIpv6LeadsWhereTheTableSays(String destination, Way way) {
        assertThat(withIpv6(true, false).judge(address(destination))).isEqualTo(way);
    }

    @Test
    void withoutHostAccessTheHostIsClosedByItsIpv6AddressesToo() {
        Destinations closed = withIpv6(false, false);
        assertThat(closed.judge(address("fd65::254"))).isEqualTo(Way.PROHIBITED);
        assertThat(closed.judge(address("2001:db8::9"))).isEqualTo(Way.PROHIBITED);
        assertThat(closed.judge(address("2001:db8::8"))).isEqualTo(Way.DIRECT);
        assertThat(closed.judge(address("2002:cb00:7109::1"))).isEqualTo(Way.PROHIBITED);
        assertThat(closed.seenByGuest(address("::1"))).isNull();
    }

    @Test
    void theIpv6HostAddressIsLocalhostBothWays() {
        Destinations destinations = withIpv6(true, false);
        IpAddress host = address("fd65::254");
        assertThat(destinations.onHost(host, destinations.judge(host))).isEqualTo(address("::1"));
        assertThat(destinations.seenByGuest(address("::1"))).isEqualTo(host);
        assertThat(destinations.seenByGuest(address("fd65::9"))).isNull();
        assertThat(destinations.seenByGuest(address("fe80::9"))).isNull();
    }

    private static Destinations relaying(boolean hostAccess) {
        return new Destinations(
                StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS).withRelays(EnumSet.of(ServiceRelay.SSDP)),
                new HostPolicy(hostAccess, false),
                new HostInterfaces(() -> Set.of(OWN), () -> 0));
    }

    @ParameterizedTest
    @CsvSource({
        "239.255.255.250, DIRECT",
        "ff02::c, DIRECT",
        "ff05::c, DIRECT",
        "ff08::c, HOST_UNREACHABLE",
        "ff02::d, HOST_UNREACHABLE",
        "ff02::fb, HOST_UNREACHABLE",
        "224.0.0.251, HOST_UNREACHABLE",
    })
    void groupsLeadOutWhoseServiceMayBeLookedForAndNotWithoutHostAccess(String group, Way way) {
        assertThat(relaying(true).judge(address(group))).isEqualTo(way);
        assertThat(relaying(false).judge(address(group))).isEqualTo(way == Way.DIRECT ? Way.PROHIBITED : way);
    }

    @Test
    void whoAsksAGroupHearsNeighboursOfTheHostButNotTheRouterOfItsOwnLink() {
        Destinations destinations = relaying(true);
        assertThat(destinations.answererSeenByGuest(address("fe80::9"))).isEqualTo(address("fe80::9"));
        assertThat(destinations.answererSeenByGuest(address("fe80::1"))).isNull();
        assertThat(destinations.answererSeenByGuest(address("fd65::9"))).isNull();
        assertThat(destinations.answererSeenByGuest(address("2001:db8::9"))).isEqualTo(address("2001:db8::9"));
        assertThat(destinations.answererSeenByGuest(address("203.0.113.7"))).isEqualTo(address("203.0.113.7"));
        assertThat(with(true, false).answererSeenByGuest(address("fe80::9"))).isNull();
    }

    @Test
    void interfaceOfGroupsIsLookedForOnceASecondAtMost() {
        AtomicInteger looks = new AtomicInteger();
        AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 5);
        GroupInterface groups = new GroupInterface(
                () -> {
                    looks.incrementAndGet();
                    return Optional.empty();
                },
                clock::get);
        for (int i = 0; i < 100; i++) {
            assertThat(groups.get()).isEmpty();
        }
        assertThat(looks).hasValue(1);
        clock.addAndGet(GroupInterface.MAX_AGE_NANOS);
        groups.get();
        assertThat(looks).hasValue(2);
    }

    @Test
    void mappedLoopbackIsLoopback() {
        IpAddress mapped = new IpAddress(0, 0xFFFF_7F00_0001L);
        assertThat(with(true, true).judge(mapped)).isEqualTo(Way.HOST_UNREACHABLE);
    }

    @Test
    void linkLocalLeadsOutWhenAllowed() {
        assertThat(with(true, true).judge(address("169.254.169.254"))).isEqualTo(Way.DIRECT);
    }

    @Test
    void withoutHostAccessTheHostIsClosedByAllItsAddresses() {
        Destinations closed = with(false, false);
        assertThat(closed.judge(address("192.168.65.254"))).isEqualTo(Way.PROHIBITED);
        assertThat(closed.judge(OWN)).isEqualTo(Way.PROHIBITED);
        assertThat(closed.judge(address("203.0.113.10"))).isEqualTo(Way.DIRECT);
        assertThat(closed.seenByGuest(address("127.0.0.1"))).isNull();
    }

    @Test
    void theHostAddressIsLocalhostBothWays() {
        Destinations destinations = with(true, false);
        IpAddress host = address("192.168.65.254");
        assertThat(destinations.onHost(host, destinations.judge(host))).isEqualTo(address("127.0.0.1"));
        assertThat(destinations.seenByGuest(address("127.0.0.1"))).isEqualTo(host);
        assertThat(destinations.seenByGuest(address("8.8.8.8"))).isEqualTo(address("8.8.8.8"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"192.168.65.1", "192.168.65.7", "192.168.65.254", "2001:db8::1"})
    void aStrangerCannotPassForTheGuestsOwnSubnet(String source) {
        assertThat(with(true, false).seenByGuest(address(source))).isNull();
    }

    @Test
    void interfacesAreReadOnceASecondAtMost() {
        AtomicInteger reads = new AtomicInteger();
        AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 5);
        HostInterfaces interfaces = new HostInterfaces(
                () -> {
                    reads.incrementAndGet();
                    return Set.of(OWN);
                },
                clock::get);
        for (int i = 0; i < 100; i++) {
            interfaces.contains(OWN);
        }
        assertThat(reads).hasValue(1);
        clock.addAndGet(HostInterfaces.MAX_AGE_NANOS);
        interfaces.contains(OWN);
        assertThat(reads).hasValue(2);
    }

    @Test
    void thisHostsOwnAddressesAreKnown() {
        assertThat(HostInterfaces.ofThisHost().contains(address("127.0.0.1"))).isTrue();
        assertThat(HostInterfaces.ofThisHost().contains(address("203.0.113.77")))
                .isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "203.0.113.7, 192.168.65.3, 203.0.113.7",
        "127.0.0.1, 192.168.65.3, 192.168.65.1",
        "192.168.65.77, 192.168.65.3, 192.168.65.1",
        "2001:db8::7, 192.168.65.3, 192.168.65.1",
        "2001:db8::7, fd65::3, 2001:db8::7",
        "fd66::7, fd65::3, fd66::7",
        "fd65::7, fd65::3, fd65::1",
        "fe80::7, fd65::3, fd65::1",
        "::1, fd65::3, fd65::1",
        "203.0.113.7, fd65::3, fd65::1",
    })
    void clientOfAPublishedPortIsSeenByItsOwnAddressWhereTheGuestCanTellItApart(
            String client, String guest, String seenAs) {
        assertThat(withIpv6(true, false).clientSeenByGuest(address(client), address(guest)))
                .isEqualTo(address(seenAs));
    }
}
