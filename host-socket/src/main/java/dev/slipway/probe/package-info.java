/**
 * The built-in guest: what a virtual machine does on a frame socket, without a virtual machine.
 *
 * <p>Theory of operation: {@link dev.slipway.probe.Guest} is one thread's loop over a frame link: a turn takes what one
 * read of the socket brought, gives it to ARP, ICMP, UDP or a TCP connection, lets every connection acknowledge, send
 * and look at its timers once, and ends in one write. What waits for something runs turns until it is there or its time
 * is up, so every step is bounded. Time comes from the link, which makes the same code run in virtual time in tests.
 *
 * <p>It shares the header classes of {@code dev.slipway.wire} with the stack and nothing else. Its TCP, DHCP and DNS
 * are written independently of the stack's, so that a mistake must be made twice to go unseen; that they work with
 * other backends is what makes it a fair guest.
 *
 * <p>Limits: IPv4 without fragments; TCP opens connections and does not listen, offers window scaling, says by selective
 * acknowledgement what has come and does not heed what the peer says so; DNS asks for A records over UDP; HTTP is 1.0.
 *
 * <p>Read first: RFC 9293, 7323, 2018, 6298, 5681, 6582, 5961; RFC 826, 2131, 1035.
 */
package dev.slipway.probe;
