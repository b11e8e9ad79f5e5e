"""A packed corpus, and training from it on JAX without TensorFlow."""

import dataclasses
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile

import keras
import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras import data
from recipes.pretrain import pack
from recipes.pretrain import text as pretrain_text

ROOT = pathlib.Path(__file__).parents[3]
WORDS = "the cat sat on a mat while two dogs ran after one small bird".split()
WITHOUT_TENSORFLOW = """
import runpy, sys
for name in ("tensorflow", "tensorflow_text", "tensorflow_datasets"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    rng = random.Random(0)
    lines = [" ".join(rng.choices(WORDS, k=30)) + "." for _ in range(60)]
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(lines))
    return path


@pytest.fixture(scope="module")
def packed(text):
    """A packed corpus."""
    options = pack.Options(
        corpus=(str(text),),
        out=text.parent / "packed" / "text.tar.bz2",
        cache=text.parent / "cache",
        vocabulary_size=40,
    )
    pack.pack(options)
    return options.out


def pretrain_options(packed, folder, **kwargs):
    options = pretrain_text.Options(
        corpus=(str(packed),),
        out=folder / "run",
        cache=folder / "cache",
        **kwargs,
    )
    return pretrain_text.resolve(options)


def assert_same_streams(ours, theirs):
    for stream in ("train", "validation"):
        for field in dataclasses.fields(data.TokenStream):
            np.testing.assert_array_equal(
                getattr(getattr(ours, stream), field.name),
                getattr(getattr(theirs, stream), field.name),
            )


def test_packed_corpus_is_the_prepared_one(text, packed, tmp_path):
    prepared = data.prepare_corpus(
        str(text), text.parent / "cache", vocabulary_size=40
    )
    options = pretrain_options(packed, tmp_path, vocabulary_size=40)
    for _ in range(2):  # unpacked, then found
        opened = pack.open_packed(options)
        assert opened.vocabulary == prepared.vocabulary
        assert opened.num_words == prepared.num_words
        assert opened.unknown_rate == prepared.unknown_rate
        assert_same_streams(opened, prepared)


def test_a_pack_that_fails_leaves_the_one_before(
    text, packed, tmp_path, monkeypatch
):
    def fail(*args):
        raise OSError("disk full")

    there = shutil.copy(packed, tmp_path)
    monkeypatch.setattr(tarfile.TarFile, "add", fail)
    options = pack.Options(
        corpus=(str(text),),
        out=pathlib.Path(there),
        cache=text.parent / "cache",
        vocabulary_size=40,
    )
    with pytest.raises(OSError, match="disk full"):
        pack.pack(options)
    assert pathlib.Path(there).read_bytes() == packed.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [packed.name]


def test_unusable_files_are_named(text, packed, tmp_path):
    options = pretrain_options(packed, tmp_path, vocabulary_size=41)
    with pytest.raises(ValueError, match="'vocabulary_size': 41"):
        pack.open_packed(options)
    options = pretrain_options(tmp_path / "no.tar.bz2", tmp_path)
    with pytest.raises(FileNotFoundError, match="recipes.pretrain.pack"):
        pack.open_packed(options)
    damaged = tmp_path / "damaged.tar.bz2"
    damaged.write_bytes(packed.read_bytes()[:-200])
    options = pretrain_options(damaged, tmp_path, vocabulary_size=40)
    with pytest.raises(ValueError, match="pack it again"):
        pack.open_packed(options)
    with pytest.raises(ValueError, match=".tar.bz2. Received: out=x"):
        pack.pack(pack.Options(corpus=(str(text),), out=pathlib.Path("x")))


@pytest.mark.slow
def test_training_on_jax_without_tensorflow(packed, tmp_path):
    settings = {
        "corpus": packed,
        "out": tmp_path / "run",
        "cache": tmp_path / "cache",
        "vocabulary_size": 40,
        "embedding_dim": 4,
        "num_heads": 2,
        "key_dim": 2,
        "num_conv_layers": 1,
        "num_graph_layers": 1,
        "context_length": 1,
        "num_positions": 4,
        "max_length": 12,
        "batch_size": 4,
        "validation_steps": 1,
        "epochs": 2,
        "steps_per_epoch": 2,
        "steps_per_execution": 2,
        "minutes": 5,
        # The first four windows have one length: one compilation.
        "seed": 42,
    }
    flags = [
        text
        for name, value in settings.items()
        for text in (f"--{name.replace('_', '-')}", str(value))
    ]
    subprocess.run(
        [
            sys.executable,
            "-c",
            WITHOUT_TENSORFLOW,
            "recipes.pretrain.text",
            *flags,
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            # Half the time to compile.
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        },
        check=True,
    )
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["epochs"] == 2
    predictor = gk.GraphPredictor.from_preset(tmp_path / "run/preset")
    ids = np.array([[2, 3, 4, 5, 0]])
    graphs = predictor({"token_ids": ids, "padding_mask": ids != 0})
    for value in graphs.values():
        rows = keras.ops.convert_to_numpy(value).sum(axis=-1)
        assert np.all((np.abs(rows) < 1e-5) | (np.abs(rows - 1) < 1e-5))
