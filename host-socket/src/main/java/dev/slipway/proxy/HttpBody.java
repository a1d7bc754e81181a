package dev.slipway.proxy;

import io.netty.buffer.ByteBuf;
import java.util.List;

/**
 * Where the body of a message ends (RFC 9112, section 6). The bytes themselves pass unchanged, chunk by chunk as they
 * came, but are looked at so far as they say where the chunks end.
 */
final class HttpBody {

    private static final int CHUNK_LINE_MAX = 4 << 10;
    private static final int TRAILER_MAX = 16 << 10;
    private static final int DIGITS_MAX = 15;

    /** How a body ends. */
    enum Kind {
        NONE,
        LENGTH,
        CHUNKED,
        /** With the connection. */
        CLOSE
    }

    private enum Chunk {
        SIZE,
        EXTENSION,
        SIZE_LF,
        DATA,
        DATA_CR,
        DATA_LF,
        TRAILER_BEGIN,
        TRAILER,
        TRAILER_LF,
        END_LF
    }

    private final Kind kind;
    private final int wrong;
    private long left;
    private Chunk state = Chunk.SIZE;
    private int digits;
    private int lineLength;
    private boolean done;

    private HttpBody(Kind kind, long length, int wrong) {
        this.kind = kind;
        this.left = length;
        this.wrong = wrong;
        this.done = kind == Kind.NONE || kind == Kind.LENGTH && length == 0;
    }

    /**
     * The body of a request.
     *
     * @throws MalformedException if there are two lengths, a length and chunks, or another coding than chunks
     */
    static HttpBody ofRequest(HttpHead head) throws MalformedException {
        List<String> codings = head.all("Transfer-Encoding");
        List<String> lengths = head.all("Content-Length");
        if (!codings.isEmpty()) {
            if (!lengths.isEmpty()) {
                throw new MalformedException(400, "a length and a transfer coding");
            }
            if (codings.size() > 1 || !codings.getFirst().equalsIgnoreCase("chunked") || head.minorVersion() == 0) {
                throw new MalformedException(501, "a transfer coding other than chunked");
            }
            return new HttpBody(Kind.CHUNKED, 0, 400);
        }
        if (lengths.isEmpty()) {
            return new HttpBody(Kind.NONE, 0, 400);
        }
        if (lengths.size() > 1) {
            throw new MalformedException(400, "two lengths");
        }
        return new HttpBody(Kind.LENGTH, length(lengths.getFirst(), 400), 400);
    }

    /**
     * The body of the response to a request.
     *
     * @throws MalformedException if it cannot be told where it ends
     */
    static HttpBody ofResponse(HttpHead head, String method) throws MalformedException {
        int status = head.status();
        if (method.equals("HEAD") || status < 200 || status == 204 || status == 304) {
            return new HttpBody(Kind.NONE, 0, 502);
        }
        List<String> codings = head.tokens("Transfer-Encoding");
        List<String> lengths = head.all("Content-Length");
        if (!codings.isEmpty()) {
            if (!lengths.isEmpty()) {
                throw new MalformedException(502, "the response has a length and a transfer coding");
            }
            return new HttpBody(codings.getLast().equals("chunked") ? Kind.CHUNKED : Kind.CLOSE, 0, 502);
        }
        if (lengths.isEmpty()) {
            return new HttpBody(Kind.CLOSE, 0, 502);
        }
        for (String other : lengths) {
            if (!other.equals(lengths.getFirst())) {
                throw new MalformedException(502, "the response has two lengths");
            }
        }
        return new HttpBody(Kind.LENGTH, length(lengths.getFirst(), 502), 502);
    }

    private static long length(String text, int wrong) throws MalformedException {
        if (!text.matches("[0-9]{1,18}")) {
            throw new MalformedException(wrong, "a length that is no number");
        }
        return Long.parseLong(text);
    }

    Kind kind() {
        return kind;
    }

    boolean isDone() {
        return done;
    }

    /** The connection has ended: whether the body has, too. */
    boolean endsHere() {
        done |= kind == Kind.CLOSE;
        return done;
    }

    /**
     * Steps over bytes.
     *
     * @param input read from its reader index, which stays
     * @return how many of its bytes belong to the body
     * @throws MalformedException if chunks are not as they should be
     */
    int accept(ByteBuf input) throws MalformedException {
        int readable = input.readableBytes();
        if (done) {
            return 0;
        }
        if (kind == Kind.CLOSE) {
            return readable;
        }
        if (kind == Kind.LENGTH) {
            int taken = (int) Math.min(left, readable);
            left -= taken;
            done = left == 0;
            return taken;
        }
        int begin = input.readerIndex();
        int at = 0;
        while (at < readable && !done) {
            if (state == Chunk.DATA) {
                int taken = (int) Math.min(left, readable - at);
                left -= taken;
                at += taken;
                state = left == 0 ? Chunk.DATA_CR : state;
            } else {
                framing(input.getByte(begin + at));
                at++;
            }
        }
        return at;
    }

    private void framing(byte b) throws MalformedException {
        switch (state) {
            case SIZE -> size(b);
            case EXTENSION -> {
                if (b == '\r') {
                    state = Chunk.SIZE_LF;
                } else {
                    checkText(b, CHUNK_LINE_MAX);
                }
            }
            case SIZE_LF -> {
                expect(b, '\n');
                state = left == 0 ? Chunk.TRAILER_BEGIN : Chunk.DATA;
                lineLength = 0;
            }
            case DATA_CR -> {
                expect(b, '\r');
                state = Chunk.DATA_LF;
            }
            case DATA_LF -> {
                expect(b, '\n');
                state = Chunk.SIZE;
                digits = 0;
                lineLength = 0;
            }
            case TRAILER_BEGIN -> {
                if (b == '\r') {
                    state = Chunk.END_LF;
                } else if (b == ' ' || b == '\t') {
                    throw new MalformedException(wrong, "a folded line behind the chunks");
                } else {
                    checkText(b, TRAILER_MAX);
                    state = Chunk.TRAILER;
                }
            }
            case TRAILER -> {
                if (b == '\r') {
                    state = Chunk.TRAILER_LF;
                } else {
                    checkText(b, TRAILER_MAX);
                }
            }
            case TRAILER_LF -> {
                expect(b, '\n');
                state = Chunk.TRAILER_BEGIN;
            }
            case END_LF -> {
                expect(b, '\n');
                done = true;
            }
            case DATA -> throw new IllegalStateException("data is no framing");
        }
    }

    private void size(byte b) throws MalformedException {
        int digit = Character.digit(b, 16);
        if (digit >= 0 && b > 0) {
            if (++digits > DIGITS_MAX) {
                throw new MalformedException(wrong, "a chunk that is too long");
            }
            left = left << 4 | digit;
        } else if (digits > 0 && b == '\r') {
            state = Chunk.SIZE_LF;
        } else if (digits > 0 && (b == ';' || b == ' ' || b == '\t')) {
            state = Chunk.EXTENSION;
        } else {
            throw new MalformedException(wrong, "a chunk without a length");
        }
    }

    private void expect(byte b, char wanted) throws MalformedException {
        if (b != wanted) {
            throw new MalformedException(wrong, "a chunk that does not end where it should");
        }
    }

    private void checkText(byte b, int limit) throws MalformedException {
        if (b >= 0 && b < ' ' && b != '\t' || b == 0x7F) {
            throw new MalformedException(wrong, "a control character between chunks");
        }
        if (++lineLength > limit) {
            throw new MalformedException(wrong, "too much between chunks");
        }
    }
}
