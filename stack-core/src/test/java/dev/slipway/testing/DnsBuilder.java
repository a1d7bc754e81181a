package dev.slipway.testing;

import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.DropReason;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** A DNS message (RFC 1035, section 4): a query with recursion desired unless set otherwise. */
public final class DnsBuilder {

    private final ByteArrayOutputStream questions = new ByteArrayOutputStream();
    private final ByteArrayOutputStream records = new ByteArrayOutputStream();
    private int id = 0x1234;
    private int flags = 0x0100;
    private int questionCount;
    private int answerCount;
    private int additionalCount;

    private DnsBuilder() {}

    /** A message as a name server hands it on: parsed. */
    public static DnsMessage parsed(byte[] message) {
        DnsMessage parsed = new DnsMessage();
        if (parsed.parse(MemorySegment.ofArray(message), 0, message.length) != DropReason.NONE) {
            throw new IllegalArgumentException("a message that no name server hands on");
        }
        return parsed;
    }

    /** A query for records of a type (1: A, 28: AAAA, 12: PTR …) in class IN. */
    public static DnsBuilder query(String name, int type) {
        return new DnsBuilder().question(encode(name), type, 1);
    }

    /** A message without a question. */
    public static DnsBuilder empty() {
        return new DnsBuilder();
    }

    public DnsBuilder id(int value) {
        id = value;
        return this;
    }

    /** The 16 bits of QR, opcode, AA, TC, RD, RA, Z and RCODE. */
    public DnsBuilder flags(int value) {
        flags = value;
        return this;
    }

    /** Adds a question whose name is given as it stands on the wire. */
    public DnsBuilder question(byte[] wireName, int type, int recordClass) {
        questions.writeBytes(wireName);
        questions.writeBytes(ByteBuffer.allocate(4)
                .putShort((short) type)
                .putShort((short) recordClass)
                .array());
        questionCount++;
        return this;
    }

    /** What the header says of the number of questions. */
    public DnsBuilder questionCount(int value) {
        questionCount = value;
        return this;
    }

    /** Adds an A record to the answers, its name a pointer to the first question. */
    public DnsBuilder answerA(int address) {
        ByteBuffer answer = ByteBuffer.allocate(16)
                .putShort((short) 0xC00C)
                .putShort((short) 1)
                .putShort((short) 1);
        records.writeBytes(answer.putInt(60).putShort((short) 4).putInt(address).array());
        answerCount++;
        return this;
    }

    /** Adds a TXT record of that many bytes of text to the answers. */
    public DnsBuilder answerText(int length) {
        byte[] text = new byte[length + 1];
        Arrays.fill(text, (byte) 'x');
        text[0] = (byte) length;
        ByteBuffer answer =
                ByteBuffer.allocate(12 + text.length).putShort((short) 0xC00C).putShort((short) 16);
        records.writeBytes(answer.putShort((short) 1)
                .putInt(60)
                .putShort((short) text.length)
                .put(text)
                .array());
        answerCount++;
        return this;
    }

    /** Adds an OPT record (RFC 6891) with the size of datagrams that the sender takes. */
    public DnsBuilder edns(int payloadSize) {
        ByteBuffer opt =
                ByteBuffer.allocate(11).put((byte) 0).putShort((short) 41).putShort((short) payloadSize);
        records.writeBytes(opt.array());
        additionalCount++;
        return this;
    }

    /** Adds bytes behind everything else. */
    public DnsBuilder raw(int... bytes) {
        for (int value : bytes) {
            records.write(value);
        }
        return this;
    }

    public byte[] message() {
        ByteBuffer header = ByteBuffer.allocate(12).putShort((short) id).putShort((short) flags);
        header.putShort((short) questionCount).putShort((short) answerCount).putShort((short) 0);
        header.putShort((short) additionalCount);
        return PacketBuilder.join(header.array(), questions.toByteArray(), records.toByteArray());
    }

    /** The message in a segment of its own. */
    public MemorySegment segment() {
        return PacketBuilder.segment(message());
    }

    /** The message behind its length, as it stands in a TCP stream (RFC 1035, section 4.2.2). */
    public byte[] prefixed() {
        byte[] message = message();
        return PacketBuilder.join(new byte[] {(byte) (message.length >> 8), (byte) message.length}, message);
    }

    /** A name as labels: {@code a.b} or {@code a.b.}; the root is empty or one dot. */
    public static byte[] encode(String name) {
        ByteArrayOutputStream wire = new ByteArrayOutputStream();
        for (String label : name.split("\\.")) {
            if (!label.isEmpty()) {
                byte[] bytes = label.getBytes(StandardCharsets.ISO_8859_1);
                wire.write(bytes.length);
                wire.writeBytes(bytes);
            }
        }
        wire.write(0);
        return wire.toByteArray();
    }
}
