/**
 * Packets for tests: builders of what a guest sends, and assertions on what it gets that read like sentences.
 * And hosts for the stack to open sockets at: {@link dev.slipway.testing.TestHost} remembers them.
 *
 * <p>Nothing here uses the parsers, writers or checksums of {@code dev.slipway.wire}, only its constants: what checks
 * the stack must not share the stack's errors.
 *
 * <pre>{@code
 * PacketBuilder guest = PacketBuilder.guest();
 * stack.input(guest.tcp("192.168.65.254", 80).port(40_000).flags(SYN).seq(1).mss(1460).frame(), now);
 * assertThat(sink.only()).isTcp().from("192.168.65.254", 80).to("192.168.65.3", 40_000).has(SYN, ACK).ack(2);
 * }</pre>
 */
package dev.slipway.testing;
