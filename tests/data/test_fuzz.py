"""Damaged files end in an answer or in a message that names the file."""

import json
import random
import re
import warnings

import pytest

from glomo_keras import data
from tests.data import small_squad

LINE = "this line has more than five words"
WORDS = ["<pad>", "<unk>", "the", "cat", "route 66"]


def articles():
    rows = [
        {"id": str(n), "url": "u", "title": "T", "text": f"T\n{LINE} {n}"}
        for n in range(3)
    ]
    return "\n".join(map(json.dumps, rows))


def pairs():
    row = {"gold_label": "neutral", "sentence1": "A é.", "sentence2": "B."}
    return "\n".join([json.dumps(row)] * 4)


READERS = {
    "corpus.txt": (
        f"<doc id=1 title='T'>\nT\n\n{LINE} <b>é</b> [[a|b]]\n</doc>\n",
        lambda path: list(data.open_corpus(path).texts()),
    ),
    "corpus.json": (
        articles(),
        lambda path: list(data.open_corpus(path).texts()),
    ),
    "vectors.txt": (
        "3 3\nthe 1 2 3\nroute 66 4 5 6\ncafé -1 .5 1e-3\n",
        lambda path: data.read_word_vectors(path, WORDS, progress=False),
    ),
    "pairs.jsonl": (pairs(), data.read_mnli_file),
    "pairs.tsv": (
        "index\tsentence1\tsentence2\tgold_label\n0\tA é\tB\tneutral\n" * 2,
        data.read_mnli_file,
    ),
    "reviews.csv": (
        'review,sentiment\n"a ""é""\nb",positive\nc,negative\n',
        data.read_imdb_file,
    ),
    "squad.json": (json.dumps(small_squad.content()), data.read_squad_file),
    "predictions.json": ('{"q1": "é", "q2": ""}', data.read_predictions),
}


def damaged(rng, content):
    """Cuts, swaps, repeats or replaces bytes, or encodes them otherwise."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(content) + 1)
        stop = min(len(content), start + rng.choice([1, 1, 2, 7, 60]))
        part = bytes(content[start:stop])
        content[start:stop] = rng.choice(
            [
                b"",
                part * 3,
                part[::-1],
                rng.randbytes(len(part)),
                rng.choice([b"\0", b"\n", b"\t", b'"', b"{", b"[", b",", b" "]),
                rng.choice([b"null", b"NaN", b"1e999", b"-1", b"\xff\xfe"]),
            ]
        )
    if rng.random() < 0.05:
        text = content.decode("utf-8", "replace")
        return text.encode(rng.choice(["utf-16", "utf-8-sig", "utf-32-le"]))
    return bytes(content)


NO_LINE = {
    "corpus.txt": "rather than text",
    "corpus.json": "rather than text",
    "vectors.txt": "rather than text|which is empty",
    "pairs.jsonl": "no labelled pair",
    "pairs.tsv": "no labelled pair",
    "reviews.csv": "There is no review",
    "squad.json": r"\[\d+\]|field 'data'|'data' must|no question",
    "predictions.json": "one JSON object",
}
"""Faults that stand at no line of their own: of a whole file, or of JSON."""


def check(folder, name, rounds):
    content, read = READERS[name]
    for seed in range(rounds):
        rng = random.Random(f"{name} {seed}")
        path = folder / name
        path.write_bytes(damaged(rng, content.encode()))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(path)
        except (ValueError, OSError) as error:
            assert name in str(error), f"{error!r} with seed {seed}"
            assert re.search(rf"\bline [1-9]|{NO_LINE[name]}", str(error)), (
                f"{error!r} with seed {seed}"
            )
        except Exception as error:
            raise AssertionError(f"{error!r} with seed {seed}") from error


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_named(tmp_path, name):
    check(tmp_path, name, rounds=200)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_files_are_named(tmp_path, name):
    check(tmp_path, name, rounds=10_000)
