package dev.slipway.dhcp;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.Dhcp6Message;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a DHCPv6 client is answered, message by message (RFC 8415, section 18.3). */
class Dhcp6ServerTest {

    private static final byte[] CLIENT = {0, 1, 0, 1, 9, 8, 7, 6, 0x52, 0x54, 0, 1, 2, 3};
    private static final byte[] SEARCH = {4, 't', 'e', 's', 't', 0};
    private static final byte[] NONE = {};

    private final Dhcp6Server server =
            new Dhcp6Server(StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS), SEARCH);

    private record Option(int number, byte[] data) {}

    private static byte[] option(int number, byte[] data) {
        return ByteBuffer.allocate(4 + data.length)
                .putShort((short) number)
                .putShort((short) data.length)
                .put(data)
                .array();
    }

    private static byte[] join(byte[]... parts) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            all.writeBytes(part);
        }
        return all.toByteArray();
    }

    private static byte[] message(int type, byte[]... options) {
        return join(new byte[] {(byte) type, 1, 2, 3}, join(options));
    }

    private static byte[] ia(int number, IpAddress... addresses) {
        byte[] data = {0, 0, 0, (byte) number, 0, 0, 0, 0, 0, 0, 0, 0};
        for (IpAddress address : addresses) {
            data = join(data, option(5, join(address.toBytes(), new byte[8])));
        }
        return option(3, data);
    }

    private static byte[] client() {
        return option(1, CLIENT);
    }

    private static byte[] toServer() {
        return option(2, new byte[] {0, 3, 0, 1, 0x5A, (byte) 0x94, (byte) 0xEF, (byte) 0xE4, 0x0C, (byte) 0xDD});
    }

    private List<Option> answer(byte[] message, int type) {
        assertThat(server.answer(MemorySegment.ofArray(message), 0, message.length))
                .isEqualTo(DropReason.NONE);
        byte[] reply = server.reply().asSlice(0, server.replyLength()).toArray(ValueLayout.JAVA_BYTE);
        assertThat(Arrays.copyOf(reply, 4)).isEqualTo(new byte[] {(byte) type, 1, 2, 3});
        return options(reply, 4);
    }

    private static List<Option> options(byte[] bytes, int from) {
        List<Option> options = new ArrayList<>();
        ByteBuffer rest = ByteBuffer.wrap(bytes, from, bytes.length - from);
        while (rest.hasRemaining()) {
            int number = rest.getShort();
            byte[] data = new byte[rest.getShort()];
            rest.get(data);
            options.add(new Option(number, data));
        }
        return options;
    }

    private static byte[] only(List<Option> options, int number) {
        List<Option> found =
                options.stream().filter(option -> option.number == number).toList();
        assertThat(found).as("options of number %d", number).hasSize(1);
        return found.getFirst().data;
    }

    private static int status(List<Option> options) {
        return only(options, 13)[1];
    }

    /** The one address of the one interface of an answer; those without a lifetime are in the list. */
    private static IpAddress addressIn(List<Option> options, List<IpAddress> foreign) {
        IpAddress found = null;
        for (Option option : options(only(options, 3), 12)) {
            assertThat(option.number).isEqualTo(5);
            ByteBuffer data = ByteBuffer.wrap(option.data);
            IpAddress address = new IpAddress(data.getLong(), data.getLong());
            int preferred = data.getInt();
            int valid = data.getInt();
            if (valid == 0) {
                foreign.add(address);
            } else {
                assertThat(found).isNull();
                assertThat(preferred).isBetween(1, valid);
                found = address;
            }
        }
        return found;
    }

    private IpAddress solicited(byte[] clientId) {
        List<Option> offer = answer(message(1, option(1, clientId), ia(7)), Dhcp6Message.ADVERTISE);
        return addressIn(offer, new ArrayList<>());
    }

    @Test
    void solicitRequestRenewAndRebindAllTellTheSameAddress() {
        List<Option> offer = answer(message(1, client(), ia(7)), Dhcp6Message.ADVERTISE);
        assertThat(only(offer, 1)).isEqualTo(CLIENT);
        assertThat(option(2, only(offer, 2))).isEqualTo(toServer());
        assertThat(only(offer, 23)).isEqualTo(Ipv6Settings.DEFAULTS.gateway().toBytes());
        assertThat(only(offer, 24)).isEqualTo(SEARCH);
        assertThat(only(offer, 7)).as("preference").isEqualTo(new byte[] {(byte) 255});
        IpAddress address = addressIn(offer, new ArrayList<>());
        assertThat(address.high()).isEqualTo(Ipv6Settings.DEFAULTS.prefix());
        assertThat(Ipv6Settings.DEFAULTS.isOwn(address.high(), address.low())).isFalse();
        for (int type : new int[] {Dhcp6Message.REQUEST, Dhcp6Message.RENEW, Dhcp6Message.REBIND}) {
            byte[] id = type == Dhcp6Message.REBIND ? NONE : toServer();
            List<Option> reply = answer(message(type, client(), id, ia(7, address)), Dhcp6Message.REPLY);
            assertThat(addressIn(reply, new ArrayList<>())).isEqualTo(address);
        }
    }

    @Test
    void rapidCommitIsAnsweredAtOnce() {
        List<Option> reply = answer(message(1, client(), ia(7), option(14, NONE)), Dhcp6Message.REPLY);
        assertThat(only(reply, 14)).isEmpty();
        assertThat(addressIn(reply, new ArrayList<>())).isEqualTo(solicited(CLIENT));
    }

    @Test
    void eachClientAndInterfaceHasAnAddressOfItsOwnThatOutlivesTheServer() {
        Set<IpAddress> seen = new HashSet<>();
        byte[] id = CLIENT.clone();
        for (int i = 0; i < 2_000; i++) {
            id[12] = (byte) (i >> 8);
            id[13] = (byte) i;
            seen.add(solicited(id));
        }
        assertThat(seen).hasSize(2_000);
        IpAddress first = solicited(CLIENT);
        Dhcp6Server another = new Dhcp6Server(StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS), NONE);
        byte[] solicit = message(1, client(), ia(7));
        another.answer(MemorySegment.ofArray(solicit), 0, solicit.length);
        byte[] reply = another.reply().asSlice(0, another.replyLength()).toArray(ValueLayout.JAVA_BYTE);
        assertThat(addressIn(options(reply, 4), new ArrayList<>())).isEqualTo(first);
        List<Option> other = answer(message(1, client(), ia(8)), Dhcp6Message.ADVERTISE);
        assertThat(addressIn(other, new ArrayList<>())).isNotEqualTo(first);
    }

    @Test
    void addressThatSomebodyElseHasIsToldToBeNoneOfTheClients() {
        IpAddress foreign = new IpAddress(Ipv6Settings.DEFAULTS.prefix(), 0x77);
        List<IpAddress> ended = new ArrayList<>();
        List<Option> reply = answer(message(Dhcp6Message.REBIND, client(), ia(7, foreign)), Dhcp6Message.REPLY);
        assertThat(addressIn(reply, ended)).isEqualTo(solicited(CLIENT));
        assertThat(ended).containsExactly(foreign);
    }

    @Test
    void addressThatTheClientDeclinesIsNotGivenAgain() {
        Set<IpAddress> given = new HashSet<>();
        for (int i = 0; i < 3 * Dhcp6Server.MAX_DECLINED; i++) {
            IpAddress address = solicited(CLIENT);
            if (i < Dhcp6Server.MAX_DECLINED) {
                assertThat(given.add(address)).as("attempt %d", i).isTrue();
            }
            List<Option> reply =
                    answer(message(Dhcp6Message.DECLINE, client(), toServer(), ia(7, address)), Dhcp6Message.REPLY);
            assertThat(status(reply)).isEqualTo(Dhcp6Message.STATUS_SUCCESS);
            assertThat(solicited(CLIENT)).isNotEqualTo(address);
        }
        server.reset();
        assertThat(given).contains(solicited(CLIENT));
    }

    @Test
    void confirmTellsWhetherAddressesAreOfThisLink() {
        IpAddress here = new IpAddress(Ipv6Settings.DEFAULTS.prefix(), 5);
        IpAddress elsewhere = new IpAddress(0x2001_0DB8L << 32, 5);
        assertThat(status(answer(message(Dhcp6Message.CONFIRM, client(), ia(7, here)), Dhcp6Message.REPLY)))
                .isEqualTo(Dhcp6Message.STATUS_SUCCESS);
        assertThat(status(answer(
                        message(Dhcp6Message.CONFIRM, client(), ia(7, here), ia(8, elsewhere)), Dhcp6Message.REPLY)))
                .isEqualTo(Dhcp6Message.STATUS_NOT_ON_LINK);
        isDropped(message(Dhcp6Message.CONFIRM, client(), ia(7)));
    }

    @Test
    void statelessClientIsToldNamesOnly() {
        List<Option> reply = answer(message(Dhcp6Message.INFORMATION_REQUEST), Dhcp6Message.REPLY);
        assertThat(only(reply, 23)).isEqualTo(Ipv6Settings.DEFAULTS.gateway().toBytes());
        assertThat(only(reply, 24)).isEqualTo(SEARCH);
        assertThat(reply).noneMatch(option -> option.number == 3);
    }

    @Test
    void releaseIsConfirmedAndPrefixesAndTemporaryAddressesAreNot() {
        IpAddress address = solicited(CLIENT);
        assertThat(status(answer(
                        message(Dhcp6Message.RELEASE, client(), toServer(), ia(7, address)), Dhcp6Message.REPLY)))
                .isEqualTo(Dhcp6Message.STATUS_SUCCESS);
        List<Option> offer =
                answer(message(1, client(), option(25, new byte[12]), option(4, new byte[4])), Dhcp6Message.ADVERTISE);
        assertThat(status(options(only(offer, 25), 12))).isEqualTo(Dhcp6Message.STATUS_NO_PREFIX);
        assertThat(status(options(only(offer, 4), 4))).isEqualTo(Dhcp6Message.STATUS_NO_ADDRESS);
    }

    private void isDropped(byte[] message) {
        assertThat(server.answer(MemorySegment.ofArray(message), 0, message.length))
                .isEqualTo(DropReason.DHCP);
        assertThat(server.replyLength()).isZero();
    }

    @Test
    void messagesThatNoServerAnswersAreDropped() {
        byte[] otherServer = option(2, new byte[] {0, 3, 0, 1, 1, 1, 1, 1, 1, 1});
        isDropped(NONE);
        isDropped(new byte[] {1, 2, 3});
        isDropped(message(1, ia(7)));
        isDropped(message(1, client(), toServer(), ia(7)));
        isDropped(message(3, client(), ia(7)));
        isDropped(message(3, client(), otherServer, ia(7)));
        isDropped(message(5, client(), otherServer, ia(7)));
        isDropped(message(11, client(), ia(7)));
        isDropped(message(11, client(), otherServer));
        isDropped(message(Dhcp6Message.ADVERTISE, client(), toServer()));
        isDropped(message(Dhcp6Message.REPLY, client(), toServer()));
        isDropped(message(12, client()));
        isDropped(message(1, option(1, new byte[131]), ia(7)));
        isDropped(message(1, client(), new byte[] {0, 3, 0}));
        isDropped(message(1, client(), new byte[] {0, 3, 0, 12, 1}));
        isDropped(message(1, client(), option(3, new byte[11])));
        isDropped(message(1, client(), option(3, join(new byte[12], option(5, new byte[23])))));
        isDropped(message(1, client(), option(3, join(new byte[12], new byte[] {0, 5, 0, 99}))));
    }

    @Test
    void messageOfManyInterfacesIsAnsweredForAFewAndFitsThePacket() {
        byte[] many = message(1, option(1, new byte[130]));
        IpAddress[] addresses = new IpAddress[20];
        Arrays.fill(addresses, new IpAddress(1, 1));
        for (int i = 0; i < 60; i++) {
            many = join(many, ia(i, addresses));
        }
        List<Option> offer = answer(many, Dhcp6Message.ADVERTISE);
        assertThat(offer.stream().filter(option -> option.number == 3).count())
                .isBetween(1L, (long) Dhcp6Server.MAX_INTERFACES);
        assertThat(server.replyLength()).isLessThanOrEqualTo(1_232);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void damagedMessagesNeverThrow(long seed) {
        Random random = new Random(seed);
        byte[] whole = message(1, client(), ia(7, new IpAddress(1, 1)), option(14, NONE), option(25, new byte[12]));
        for (int i = 0; i < 20_000; i++) {
            byte[] damaged = Arrays.copyOf(whole, random.nextInt(whole.length + 1));
            for (int j = random.nextInt(4); j > 0 && damaged.length > 0; j--) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
            }
            DropReason reason = server.answer(MemorySegment.ofArray(damaged), 0, damaged.length);
            assertThat(reason).as("seed %d, message %d", seed, i).isIn(DropReason.NONE, DropReason.DHCP);
        }
    }
}
