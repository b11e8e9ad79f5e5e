"""A packed corpus, training on JAX without TensorFlow, and the way back."""

import dataclasses
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras import data
from glomo_keras.data.tasks.batches import Batches
from recipes.pretrain import collect
from recipes.pretrain import pack
from recipes.pretrain import text as pretrain_text
from recipes.pretrain import train_packed as train

ROOT = pathlib.Path(__file__).parents[3]
WORDS = "the cat sat on a mat while two dogs ran after one small bird".split()
TINY = {
    "vocabulary_size": 40,
    "embedding_dim": 4,
    "num_heads": 2,
    "key_dim": 2,
    "num_conv_layers": 1,
    "num_graph_layers": 1,
    "num_positions": 4,
    "max_length": 12,
    "batch_size": 4,
    "validation_steps": 1,
    # The first four windows have one length: one compilation.
    "seed": 42,
}
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
        (str(text),),
        text.parent / "loan" / "text.tar.bz2",
        cache=text.parent / "cache",
        vocabulary_size=40,
    )
    pack.pack(options)
    return options.out


def pretrain_options(packed, folder, **kwargs):
    options = pretrain_text.Options(
        (str(packed),), folder / "run", cache=folder / "cache", **kwargs
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
        assert opened.train.token_ids.dtype == "uint16"
        assert_same_streams(opened, prepared)


def test_large_vocabulary_takes_32_bits(text, tmp_path):
    vocabulary = ["<pad>", "<unk>", *(f"w{i}" for i in range(70_000)), "cat"]
    prepared = data.prepare_corpus(
        str(text), tmp_path / "cache", vocabulary=vocabulary
    )
    options = pretrain_options(tmp_path / "wide.tar.bz2", tmp_path)
    tokenised = {name: getattr(options, name) for name in pack.TOKENISE_OPTIONS}
    pack.write_packed(prepared.path, tokenised, tmp_path / "wide.tar.bz2")
    opened = pack.open_packed(options)
    assert opened.train.token_ids.dtype == "int32"
    assert_same_streams(opened, prepared)


def test_packing_says_what_is_wrong(text, packed, tmp_path):
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
    large = pack.Options(
        (str(text),),
        tmp_path / "large.tar.bz2",
        cache=text.parent / "cache",
        vocabulary_size=40,
        limit_mib=0.001,
    )
    with pytest.raises(ValueError, match="smaller --vocabulary-size"):
        pack.pack(large)
    with pytest.raises(ValueError, match=".tar.bz2. Received: out=x"):
        pack.pack(dataclasses.replace(large, out=pathlib.Path("x")))


def stream(num_words=2000):
    ids = np.arange(2, 2 + num_words, dtype="int32")
    return data.TokenStream(ids, np.array([0]), np.array([num_words]))


def test_windows_have_three_lengths_and_stay_in_their_rows():
    sampler = data.FewLengths(stream(), batch_size=4, max_length=40, seed=1)
    plain = data.WindowSampler(stream(), batch_size=4, max_length=40, seed=1)
    lengths = set()
    for step in range(2 * sampler.steps_per_epoch):
        ids = sampler.batch(step)["token_ids"]
        theirs = plain.batch(step)["token_ids"]
        np.testing.assert_array_equal(ids[:, 0], theirs[:, 0])
        np.testing.assert_array_equal(np.diff(ids), 1)
        assert abs(ids.shape[1] - theirs.shape[1]) <= 5
        starts = 2 + np.arange(4) * 500
        assert (ids[:, -1] < starts + 500).all()
        lengths.add(ids.shape[1])
    assert lengths == {20, 30, 40}


def test_words_of_steps_are_those_of_the_batches():
    sampler = data.FewLengths(stream(), batch_size=4, max_length=40)
    steps = range(5, 3 * sampler.steps_per_epoch)
    words = sum(sampler.batch(step)["padding_mask"].sum() for step in steps)
    assert sampler.num_words(steps) == words


def test_batches_start_anywhere_and_end_where_the_windows_do():
    sampler = data.FewLengths(stream(), batch_size=4, max_length=40)
    assert Batches(sampler).num_batches is None
    np.testing.assert_array_equal(
        Batches(sampler, start_step=7)[2][0]["token_ids"],
        sampler.batch(9)["token_ids"],
    )
    held_out = data.EvaluationWindows(stream(100), 2, 10)
    for num_steps, expected in ((None, 5), (3, 3), (9, 5)):
        dataset = Batches(held_out, num_steps=num_steps)
        assert dataset.num_batches == expected


RESULTS = {
    "config.json",
    "data.json",
    "history.csv",
    "preset/model.weights.h5",
}


def run_folder(path):
    """Something like what a training leaves."""
    rng = np.random.default_rng(0)
    files = [*RESULTS]
    files += ["checkpoint/checkpoint-00000001.npz"]
    files += ["checkpoint/checkpoint-00000002.npz", "pretrainer/config.json"]
    files += ["checkpoint/checkpoint-00000003.npz.tmp", ".lock"]
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(rng.bytes(9000))
    return path


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


NEWEST = "checkpoint/checkpoint-00000002.npz"


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("results", RESULTS),
        ("checkpoint", RESULTS - {"preset/model.weights.h5"} | {NEWEST}),
        ("all", RESULTS | {NEWEST, "pretrainer/config.json"}),
    ],
)
def test_run_comes_back_in_parts(what, names, tmp_path):
    run = run_folder(tmp_path / "runs" / "gpu")
    folders = []
    for first in range(0, 60, 4):
        folders.append(tmp_path / f"back-{first}")
        options = collect.Split(
            run, folders[-1], what, first, num_parts=4, part_mib=0.005
        )
        written = collect.split(options)
        assert len(list(folders[-1].iterdir())) == len(written) + 1 <= 5
        manifest = json.loads((folders[-1] / collect.MANIFEST).read_text())
        if first + 4 >= len(manifest["parts"]):
            break
    collect.join(collect.Join(tuple(folders[::-1]), tmp_path / "here"))
    before, after = files_of(run), files_of(tmp_path / "here" / "gpu")
    assert after == {name: before[name] for name in names}


def test_missing_damaged_and_foreign_parts_are_named(tmp_path):
    run = run_folder(tmp_path / "runs" / "gpu")
    back = [tmp_path / "back-0", tmp_path / "back-1"]
    for first, folder in zip((0, 3), back, strict=True):
        collect.split(
            collect.Split(run, folder, "results", first, 3, part_mib=0.01)
        )
    into = tmp_path / "here"
    with pytest.raises(ValueError, match="part-0003 is missing"):
        collect.join(collect.Join((back[0],), into))
    part = back[1] / "part-0003"
    sound = part.read_bytes()
    part.write_bytes(b"x" + sound[1:])
    with pytest.raises(ValueError, match="part-0003 is damaged.*--first 3"):
        collect.join(collect.Join(tuple(back), into))
    part.write_bytes(sound)
    (run / "history.csv").write_text("more")
    other = tmp_path / "back-2"
    collect.split(collect.Split(run, other, "results", part_mib=0.01))
    with pytest.raises(ValueError, match="different states"):
        collect.join(collect.Join((back[0], other), into))
    assert not into.exists()
    with pytest.raises(ValueError, match="first=99"):
        collect.split(collect.Split(run, other, first=99))
    with pytest.raises(FileNotFoundError, match="Nothing to bring back"):
        collect.split(collect.Split(tmp_path / "none", other))


def test_training_ends_before_an_epoch_that_would_not_end_in_time():
    late = train.EndInTime(time.monotonic() - 1)
    late.on_epoch_begin(0)  # one epoch is made in any case
    late.on_epoch_end(0)
    with pytest.raises(train.TimeIsUp):
        late.on_epoch_begin(1)
    early = train.EndInTime(time.monotonic() + 100)
    early.durations = [500.0, 10.0, 20.0]  # the first one compiled
    early.on_epoch_begin(3)
    early.durations = [500.0, 10.0, 200.0]
    with pytest.raises(train.TimeIsUp):
        early.on_epoch_begin(3)


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="needs another backend"
)
def test_training_refuses_another_backend(packed, tmp_path):
    options = train.Options((str(packed),), tmp_path / "run")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=jax"):
        train.train(options)
    assert not options.out.exists()


def test_training_refuses_a_machine_without_gpu(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr("jax.default_backend", lambda: "cpu")
    options = train.Options((str(packed),), tmp_path / "run")
    with pytest.raises(RuntimeError, match="JAX sees no GPU"):
        train.train(options)
    assert not options.out.exists()


def test_epochs_are_whole_executions(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    options = train.Options(
        (str(packed),), tmp_path / "run", steps_per_epoch=25, allow_cpu=True
    )
    with pytest.raises(ValueError, match="steps_per_execution=10"):
        train.train(options)


def start(module, *arguments, **kwargs):
    """A process on JAX, with TensorFlow out of reach."""
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, module]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            # Half the time to compile.
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **kwargs,
    )


def finish(process):
    output = process.communicate()[0]
    assert process.returncode == 0, output
    return output


def train_arguments(packed, folder, **kwargs):
    settings = {**TINY, "epochs": 2, "steps_per_epoch": 2}
    settings = {**settings, "steps_per_execution": 2, "minutes": 5, **kwargs}
    settings |= {"corpus": packed, "cache": folder / "cache"}
    settings |= {"compiled": folder / "compiled"}
    settings.setdefault("out", folder / "run")
    arguments = ["--allow-cpu"]
    for name, value in settings.items():
        arguments += [f"--{name.replace('_', '-')}", value]
    return arguments


def assert_finite_graphs(preset):
    predictor = gk.GraphPredictor.from_preset(preset)
    assert predictor.tokenizer_config == {"lowercase": True, "numbers": "N"}
    ids = np.array([[2, 3, 4, 5, 0]])
    graphs = predictor({"token_ids": ids, "padding_mask": ids != 0})
    for value in graphs.values():
        value = keras.ops.convert_to_numpy(value)
        assert np.isfinite(value).all()
        rows = value.sum(axis=-1)
        assert np.all((np.abs(rows) < 1e-5) | (np.abs(rows - 1) < 1e-5))


def test_limited_training_goes_on_and_comes_back(packed, tmp_path):
    limited = train_arguments(packed, tmp_path, minutes=0)
    assert "goes on" in finish(start("recipes.pretrain.train_packed", *limited))
    assert_finite_graphs(tmp_path / "run" / "preset")
    whole = train_arguments(packed, tmp_path)
    finish(start("recipes.pretrain.train_packed", *whole))
    collect.split(collect.Split(tmp_path / "run", tmp_path / "back"))
    collect.join(collect.Join((tmp_path / "back",), tmp_path / "here"))
    run = tmp_path / "here" / "run"
    assert json.loads((run / "metrics.json").read_text())["epochs"] == 2
    for name in ("history.csv", "speed.csv"):
        assert len((run / name).read_text().splitlines()) == 3
    assert_finite_graphs(run / "preset")


@pytest.mark.slow
def test_killed_training_is_the_uninterrupted_one(packed, tmp_path):
    """And neither the steps per execution nor where it goes on change it."""

    def command(name, **kwargs):
        kwargs = {"epochs": 6, "steps_per_epoch": 20, **kwargs}
        kwargs["out"] = tmp_path / name
        return train_arguments(packed, tmp_path, **kwargs)

    finish(
        start(
            "recipes.pretrain.train_packed",
            *command("whole", steps_per_execution=1),
        )
    )
    killed = command("killed", steps_per_execution=5)
    process = start("recipes.pretrain.train_packed", *killed)
    while not any((tmp_path / "killed").glob("checkpoint/*02.npz")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    back = tmp_path / "back"
    collect.split(collect.Split(tmp_path / "killed", back, "checkpoint"))
    collect.join(collect.Join((back,), tmp_path / "there"))
    finish(
        start(
            "recipes.pretrain.train_packed",
            *command("there/killed"),
        )
    )
    whole, killed = (
        gk.ContextPretrainer.from_preset(tmp_path / path / "pretrainer")
        for path in ("whole", "there/killed")
    )
    for a, b in zip(whole.weights, killed.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)
