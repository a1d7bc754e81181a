package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBufAllocator;
import org.junit.jupiter.api.Test;

class LeakGuardTest {

    @Test
    void noticesABufferThatIsNeverReleased() {
        for (int i = 0; i < 64; i++) {
            ByteBufAllocator.DEFAULT.directBuffer(1024);
        }

        assertThatThrownBy(() -> new LeakGuard().afterAll(null))
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("leaked buffers");
        assertThat(LeakGuard.leaks()).isEmpty();
    }
}
