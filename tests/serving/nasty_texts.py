"""Texts on which tokenisers differ."""

import random

LONG_WORD = "Donaudampfschiff" * 500
TEXTS = [
    "",
    "   ",
    "\t\n\r\n\x00\x0b\u00a0\u2028\u200b\ufeff",
    "xyzzy frobozz",
    "Don't; it'sx IT'S DON’T we’ll n't n'ta rock'n'roll '' 's",
    "1,000.5 1. 3,4.5,6 .5 5,, 1.2.3 ½ ٣٫٤ 𝟘 x2y",
    "👩‍👩‍👧 👍🏽!👍🏽 🇩🇪🇫🇷 ❤️",
    "e\u0301 na\u00efve \u0301x !\u0301 Z\u0351\u036b\u0343algo",
    "שלום, עולם! مرحبا\u202eabc\u202c بالعالم نمی\u200cخواهم",
    "İstanbul STRAẞE ΑΣ ǅ ﬁ 日本語 한국어 ไทย हिन्दी",
    "soft\xadhyphen zero\u200bwidth no\u2060break \x01mark\x01",
    "tabs\tand\nnew\r\nlines  and   blanks ",
    "<pad> <unk> \\1 \\ $1 a_b-c/d http://x.y?z=1&w=2",
    LONG_WORD + "'s",
    "\ufffd \ue000 \U0010ffff \ufdd0",
    b"bad \xff\xfe end",
    b"cut \xe2\x82",
    b"\xf0\x9f\x98 \xc3( \xed\xa0\x80 \xc0\x80 \x80'\x80s",
]

PIECES = [
    piece if isinstance(piece, bytes) else piece.encode()
    for text in TEXTS
    if len(text) < 100
    for piece in (text, *(text[i : i + 2] for i in range(0, len(text), 2)))
]


def random_texts(count, seed):
    """Pieces of the texts above, any bytes, and any code points."""
    draw = random.Random(seed)  # noqa: S311
    texts = []
    for _ in range(count):
        kind = draw.random()
        if kind < 0.6:
            text = b"".join(draw.choices(PIECES, k=draw.randrange(12)))
        elif kind < 0.8:
            text = draw.randbytes(draw.randrange(30))
        else:
            limits = draw.choices([0x100, 0xD800, 0x3000], k=20)
            text = "".join(chr(draw.randrange(x)) for x in limits).encode()
        texts.append(text)
    return texts
