package dev.slipway.host;

import static java.net.StandardProtocolFamily.INET;
import static java.net.StandardProtocolFamily.INET6;

import dev.slipway.ethernet.Transport;
import io.netty.channel.socket.DatagramChannel;
import io.netty.channel.socket.SocketProtocolFamily;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.channel.unix.Socket;
import io.netty.channel.unix.UnixChannel;
import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;

/**
 * A UDP socket of the host: a Netty channel to read from, and a direct way to send. Netty's own way would drop empty
 * datagrams silently, would queue what the kernel does not take, and would say only later what the kernel said.
 *
 * @param channel what is registered with the event loop and read from
 * @param sender the same socket, to send from
 */
record UdpSocket(DatagramChannel channel, Sender sender) {

    /** Sends one datagram. */
    interface Sender {
        /**
         * @param bytes a direct buffer; all of its remaining bytes are the datagram
         * @return bytes sent; 0 if the kernel has no room just now
         */
        int send(ByteBuffer bytes, InetSocketAddress destination) throws IOException;
    }

    /**
     * Opens a socket to ask an address from.
     *
     * @throws IOException if the host has none left
     */
    static UdpSocket open(Transport transport, InetAddress peer) throws IOException {
        return open(transport, peer instanceof Inet6Address);
    }

    /**
     * Opens a socket of one family of addresses. Elsewhere than on Linux one of IPv6 may hear of IPv4 as well, and then a
     * port is not had for both.
     *
     * @throws IOException if the host has none left
     */
    static UdpSocket open(Transport transport, boolean v6) throws IOException {
        if (transport == Transport.NIO) {
            java.nio.channels.DatagramChannel jdk = java.nio.channels.DatagramChannel.open(v6 ? INET6 : INET);
            return new UdpSocket(nettyChannel(jdk), jdk::send);
        }
        try {
            DatagramChannel channel = transport
                    .datagramChannel()
                    .getConstructor(SocketProtocolFamily.class)
                    .newInstance(v6 ? SocketProtocolFamily.INET6 : SocketProtocolFamily.INET);
            Socket socket = (Socket) ((UnixChannel) channel).fd();
            return new UdpSocket(
                    channel,
                    (bytes, to) ->
                            socket.sendTo(bytes, bytes.position(), bytes.limit(), to.getAddress(), to.getPort()));
        } catch (ReflectiveOperationException e) {
            throw new IOException("cannot open a UDP socket: " + e.getCause(), e);
        }
    }

    private static DatagramChannel nettyChannel(java.nio.channels.DatagramChannel jdk) throws IOException {
        try {
            return new NioDatagramChannel(jdk);
        } catch (RuntimeException e) {
            jdk.close();
            throw new IOException("cannot use a UDP socket", e);
        }
    }
}
