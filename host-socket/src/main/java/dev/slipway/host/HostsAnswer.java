package dev.slipway.host;

import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import java.util.ArrayList;
import java.util.List;

/** Answers from the host's hosts file. They are not to be kept: the file may change. */
final class HostsAnswer {

    private static final String REVERSE_V4 = ".in-addr.arpa";
    private static final int TTL_SECONDS = 0;

    private HostsAnswer() {}

    /**
     * The answer to a query for addresses of a name, or for the name of an address.
     *
     * @return {@code null} if the file says nothing about that
     */
    static byte[] to(DnsMessage question, HostsFile file) {
        if (question.recordClass() != DnsMessage.CLASS_IN) {
            return null;
        }
        String name = question.hostName();
        return switch (question.type()) {
            case DnsMessage.TYPE_A -> addresses(question, file.addressesOf(name), true);
            case DnsMessage.TYPE_AAAA -> addresses(question, file.addressesOf(name), false);
            case DnsMessage.TYPE_PTR -> pointer(question, name, file);
            default -> null;
        };
    }

    private static byte[] addresses(DnsMessage question, List<IpAddress> known, boolean v4) {
        if (known == null) {
            return null;
        }
        List<byte[]> data = new ArrayList<>();
        for (IpAddress address : known) {
            if (address.isV4() == v4) {
                data.add(address.toBytes());
            }
        }
        return data.isEmpty()
                ? question.respond(DnsMessage.NOERROR)
                : question.respond(question.type(), data, TTL_SECONDS);
    }

    private static byte[] pointer(DnsMessage question, String name, HostsFile file) {
        String[] labels = name.split("\\.");
        if (!name.endsWith(REVERSE_V4) || labels.length != 6) {
            return null;
        }
        String found;
        try {
            found = file.nameOf(
                    IpAddress.ofV4(IpAddress.parseV4(labels[3] + "." + labels[2] + "." + labels[1] + "." + labels[0])));
        } catch (IllegalArgumentException e) {
            return null;
        }
        return found == null ? null : question.respond(DnsMessage.TYPE_PTR, DnsMessage.encodeName(found), TTL_SECONDS);
    }
}
