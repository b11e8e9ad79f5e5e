"""Without TensorFlow the tokenizer gives the same tokens, ids and offsets."""

import importlib.util
import json
import os
import random
import subprocess
import sys

import pytest

from glomo_keras.data import WordTokenizer

PIECES = [
    *("a", "n", "t", "s", "ll", "Re", "'", "’", "n't", "'S", "n’T", "1", "2"),
    *("1,0", "3.5", ".", ",", "_", "-", " ", "  ", "\n", "\t", "\0", "\x85"),
    *("é", "e\u0301", "ß", "ı", "ſ", "Σ", "日本", "ไทย", "हिन्दी", "٣", "½"),
    *("😀", "👩\u200d💻", "\u200b", "\u200c", "\u00ad", "\u2028", "\ufeff"),
    *("<unk>", "don't", "Ankara'dır", "café", "THE", "\u0301", "\U0001d54f"),
]
OPTIONS = [
    {},
    {"lowercase": False, "normalize_unicode": True},
    {"numbers": "N", "normalize_unicode": True},
]
PROGRAM = """
import json, sys
sys.modules["tensorflow"] = None
import glomo_keras as gk
given = json.load(sys.stdin)
answers = []
for options in given["options"]:
    tokenizer = gk.data.WordTokenizer(given["vocabulary"], **options)
    output = tokenizer(given["texts"])
    answers.append({name: x.tolist() for name, x in output.items()})
small = gk.data.WordTokenizer.from_preset("glomo_small_en")
output = small(["The cat sat."])
predictor = gk.GraphPredictor.from_preset("glomo_small_en")
shape = tuple(predictor(output)["forward_graphs"].shape)
json.dump([answers, output["token_ids"].tolist(), shape[-2:]], sys.stdout)
"""


def random_texts(count):
    rng = random.Random(0)
    return [
        "".join(rng.choices(PIECES, k=rng.randrange(12))) for _ in range(count)
    ]


def without_tensorflow(given):
    other = next(
        (x for x in ("jax", "torch") if importlib.util.find_spec(x)), None
    )
    if other is None:
        pytest.skip("no other backend is installed")
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(given),
        env={**os.environ, "KERAS_BACKEND": other},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_tokens_ids_and_offsets_are_those_of_tensorflow():
    pytest.importorskip("tensorflow")
    texts = random_texts(500)
    words = ["<pad>", "<unk>", "a", "n't", "'s", "café", "N", "the", "日本"]
    answers, ids, length = without_tensorflow(
        {"texts": texts, "vocabulary": words, "options": OPTIONS}
    )
    for options, answer in zip(OPTIONS, answers, strict=True):
        expected = WordTokenizer(words, **options)(texts)
        tokens = [
            [token.decode() for token in row]
            for row in expected.pop("tokens").numpy()
        ]
        for text, found, row in zip(
            texts, answer["tokens"], tokens, strict=True
        ):
            assert found == row, repr(text)
        for name, values in expected.items():
            assert answer[name] == values.numpy().tolist(), name
    small = WordTokenizer.from_preset("glomo_small_en")
    assert ids == small(["The cat sat."])["token_ids"].numpy().tolist()
    assert length == [4, 4]
