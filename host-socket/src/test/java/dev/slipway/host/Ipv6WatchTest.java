package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.Ipv6Settings;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** What a guest is told of its way out by IPv6. */
final class Ipv6WatchTest {

    private final AtomicLong clock = new AtomicLong();
    private final AtomicBoolean there = new AtomicBoolean();
    private final List<Boolean> told = new ArrayList<>();

    private Ipv6Watch watch(Ipv6Settings settings) {
        return new Ipv6Watch(settings, new Ipv6Way(before -> there.get(), clock::get), told::add);
    }

    private void host(boolean hasWay) {
        there.set(hasWay);
        clock.addAndGet(Ipv6Way.MAX_AGE_NANOS);
    }

    @Test
    void eachChangeIsToldOnceAndBeforeTheAnswer() {
        Ipv6Watch watch = watch(Ipv6Settings.AUTO);
        assertThat(watch.hasWayOut()).isFalse();
        assertThat(told).as("there was none before").isEmpty();
        host(true);
        assertThat(watch.guestHasRouter()).as("until somebody has looked").isFalse();
        assertThat(watch.hasWayOut()).isTrue();
        assertThat(watch.hasWayOut()).isTrue();
        assertThat(watch.guestHasRouter()).isTrue();
        host(false);
        assertThat(watch.hasWayOut()).isFalse();
        assertThat(told).containsExactly(true, false);
    }

    @Test
    void nothingIsToldWhenTheSessionIsOver() {
        Ipv6Watch watch = watch(Ipv6Settings.AUTO);
        watch.close();
        host(true);
        assertThat(watch.hasWayOut()).isTrue();
        assertThat(told).isEmpty();
    }

    @Test
    void settingsThatDoNotFollowTheHostDecide() {
        assertThat(watch(Ipv6Settings.DEFAULTS).hasWayOut()).isTrue();
        assertThat(watch(Ipv6Settings.DEFAULTS).guestHasRouter()).isTrue();
        host(true);
        assertThat(watch(Ipv6Settings.OFF).hasWayOut()).isFalse();
        assertThat(told).isEmpty();
    }
}
