package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class KeptConnectionsTest {

    private final KeptConnections kept = new KeptConnections();

    @Test
    void nobodyIsTrustedBeforeAnythingIsKnown() {
        assertThat(kept.keeps("a")).isFalse();
        kept.learn("a", true);
        assertThat(kept.keeps("a")).isTrue();
        kept.learn("a", false);
        assertThat(kept.keeps("a")).isFalse();
    }

    @Test
    void theOneUsedLongestAgoIsForgotten() {
        for (int i = 0; i < KeptConnections.LIMIT; i++) {
            kept.learn(i, true);
        }
        assertThat(kept.keeps(0)).as("used again").isTrue();
        kept.learn("one more", true);
        assertThat(kept.keeps(0)).isTrue();
        assertThat(kept.keeps(1)).isFalse();
        assertThat(kept.keeps(2)).isTrue();
    }
}
