package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBufAllocator;
import org.junit.jupiter.api.Test;

class LeakGuardTest {

    @Test
    void noticesABufferThatIsNeverReleased() {
        leak();

        assertThatThrownBy(() -> new LeakGuard().afterAll(null))
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("leaked buffers");
        assertThat(LeakGuard.leaks()).isEmpty();
    }

    /** In a frame of its own, so that no local variable of the test's holds on to the buffer. */
    private static void leak() {
        ByteBufAllocator.DEFAULT.directBuffer(1024);
    }
}
