"""Tables of the strongest edges of a corpus."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from glomo_keras import analysis
from glomo_keras import data
from glomo_keras import serving
from tests.models.small_models import small_predictor

pandas = pytest.importorskip("pandas")
parquet = pytest.importorskip("pyarrow.parquet")
if keras.backend.backend() != "tensorflow":
    pytest.skip("a SavedModel needs TensorFlow", allow_module_level=True)

WORDS = ["<pad>", "<unk>", "the", "cat", "sat", ".", "it", "was", "tired"]
OPTIONS = {
    "texts": "line",
    "shard_words": 60,
    "max_length": 12,
    "progress": False,
}


@pytest.fixture(scope="module")
def predictor():
    predictor = small_predictor()
    predictor.vocabulary = WORDS
    predictor.tokenizer_config = {"lowercase": True}
    return predictor


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two files of 30 lines of 1 to 30 words."""
    folder = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(0)
    for name in ("a.txt", "b.txt"):
        lengths = rng.integers(1, 31, 30)
        lines = [" ".join(rng.choice(WORDS[2:], n)) for n in lengths]
        (folder / name).write_text("\n".join(lines).replace("cat", "Cat"))
    return folder


@pytest.fixture(scope="module")
def whole(predictor, sources, tmp_path_factory):
    """The folder of a finished extraction."""
    out = tmp_path_factory.mktemp("edges")
    return serving.extract_edges(predictor, str(sources), out, **OPTIONS)


def contents(out):
    paths = [*out.glob("edges/*.parquet"), *out.glob("documents/*.parquet")]
    return {path.relative_to(out): path.read_bytes() for path in paths}


def test_edges_are_those_of_top_edges(predictor, sources, whole):
    documents = pandas.read_parquet(whole / "documents")
    edges = pandas.read_parquet(whole / "edges")
    texts = sum(
        (p.read_text().split("\n") for p in sorted(sources.iterdir())), []
    )
    assert documents["text"].tolist() == texts
    assert sorted(set(documents["file"])) == sorted(map(str, sources.iterdir()))
    short = documents[documents["num_words"] <= OPTIONS["max_length"]]
    found = data.predict_graphs(predictor, short["text"].tolist())
    for name, row in zip(short["document"], found, strict=True):
        tokens = row["tokens"]
        graphs = {k: v for k, v in row.items() if k.endswith("_graphs")}
        wanted = analysis.top_edges(graphs, tokens, k=2 * len(tokens))
        table = edges[edges["document"] == name]
        np.testing.assert_allclose(
            table["excess"], [edge.excess for edge in wanted], atol=1e-5
        )
        # Edges of nearly the same weight may change places.
        assert len(table) == len(wanted)
        places = ["receiver", "source", "layer", "head", "direction"]
        assert set(table[places].itertuples(index=False, name=None)) == {
            (
                edge.receiver_position,
                edge.source_position,
                edge.layer - 1,
                edge.head - 1,
                edge.direction,
            )
            for edge in wanted
        }
    assert len(edges) > 100


def test_offsets_and_words_are_those_of_the_text(whole):
    documents = pandas.read_parquet(whole / "documents")
    texts = documents.set_index("document")["text"]
    edges = pandas.read_parquet(whole / "edges")
    assert set(edges["direction"]) == {"forward", "backward"}
    for edge in edges.itertuples():
        text = texts[edge.document]
        source = text[edge.source_start : edge.source_end]
        assert source == edge.source_word
        assert text.split()[edge.source] == source
        receiver = text[edge.receiver_start : edge.receiver_end]
        assert receiver == edge.receiver_word == text.split()[edge.receiver]
        earlier = edge.source < edge.receiver
        assert edge.direction == ("forward" if earlier else "backward")
    for row in documents.itertuples():
        words = [
            row.text[start:end]
            for start, end in zip(row.word_starts, row.word_ends, strict=True)
        ]
        assert words == row.text.split()
        assert len(words) == row.num_words


def test_edges_do_not_leave_their_window(whole):
    documents = pandas.read_parquet(whole / "documents")
    edges = pandas.read_parquet(whole / "edges").merge(documents, "left")
    count = -(-edges["num_words"] // OPTIONS["max_length"])
    assert count.max() > 1
    # Windows of a document differ by one word at most.
    size = -(-edges["num_words"] // count)
    assert (abs(edges["source"] - edges["receiver"]) < size).all()
    per_document = edges.groupby("document", observed=True).size()
    words = documents.set_index("document")["num_words"]
    assert (per_document <= 2 * words[per_document.index] + 2).all()


def copy_of(whole, tmp_path, *left_out):
    """A copy of an extraction: to export the model takes seconds."""
    ignore = shutil.ignore_patterns(*left_out)
    return shutil.copytree(whole, tmp_path / "copy", ignore=ignore)


@pytest.mark.slow
def test_missing_and_damaged_tables_are_written_again(
    predictor, sources, whole, tmp_path
):
    out = copy_of(whole, tmp_path)
    lost, *others, damaged = sorted(out.glob("edges/*.parquet"))
    parts = [lost.stem[:-4], damaged.stem[:-4]]
    others = [path for path in others if path.stem[:-4] not in parts]
    assert len(others) > 2
    times = [path.stat().st_mtime_ns for path in others]
    lost.unlink()
    os.truncate(damaged, 100)
    with pytest.warns(UserWarning) as caught:
        serving.extract_edges(predictor, str(sources), out, **OPTIONS)
    warned = " ".join(str(warning.message) for warning in caught)
    assert f"{lost.name} is missing" in warned
    assert f"{damaged.name} has 100 bytes" in warned
    assert contents(out) == contents(whole)
    assert times == [path.stat().st_mtime_ns for path in others]


def test_a_folder_is_for_one_job(predictor, sources, whole):
    with pytest.raises(ValueError, match="edges of another corpus"):
        serving.extract_edges(
            predictor, str(sources / "a.txt"), whole, **OPTIONS
        )
    with pytest.raises(ValueError, match="edges of another corpus"):
        serving.extract_edges(
            predictor, str(sources), whole, **{**OPTIONS, "max_length": 20}
        )


@pytest.mark.slow
def test_broken_files_are_named_and_left_out(predictor, sources, tmp_path):
    for path in sources.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "aa.csv").write_text("id,text\n1,the cat")
    out = tmp_path / "out"
    corpus = data.open_corpus(
        [str(tmp_path / "*.txt"), str(tmp_path / "*.csv")], "line", 1
    )
    options = {k: v for k, v in OPTIONS.items() if k != "texts"}
    with pytest.warns(UserWarning, match="1 of 3 sources.*\n.*aa.csv holds"):
        serving.extract_edges(
            predictor, corpus, out, skip_broken=True, **options
        )
    documents = pandas.read_parquet(out / "documents")
    assert len(documents) == 60


@pytest.mark.parametrize(
    "options, message",
    [
        ({"edges_per_word": 0}, "edges_per_word=0"),
        ({"max_length": 0}, "max_length=0"),
        ({"num_processes": 0}, "num_processes=0"),
    ],
)
def test_wrong_arguments_are_refused(predictor, sources, options, message):
    with pytest.raises(ValueError, match=message):
        serving.extract_edges(predictor, str(sources), "nowhere", **options)
    assert not pathlib.Path("nowhere").exists()


@pytest.mark.slow
def test_a_corpus_without_words_is_refused(predictor, tmp_path):
    (tmp_path / "a.txt").write_text("\N{ZERO WIDTH SPACE}\n")
    with pytest.raises(ValueError, match="no usable text"):
        serving.extract_edges(
            predictor, str(tmp_path / "a.txt"), tmp_path / "out", **OPTIONS
        )


@pytest.mark.filterwarnings("ignore")
def test_beam_writes_the_same(predictor, sources, whole, tmp_path):
    """Although every bundle runs twice."""
    pytest.importorskip("apache_beam")
    out = copy_of(whole, tmp_path, "*.parquet", "manifest.json")
    assert not contents(out)
    options = {k: v for k, v in OPTIONS.items() if k != "progress"}
    serving.extract_edges_on_beam(
        predictor,
        str(sources),
        out,
        ["--direct_runner_bundle_repeat=1"],
        **options,
    )
    assert contents(out) == contents(whole)
    times = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    serving.extract_edges(predictor, str(sources), out, **OPTIONS)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def recipe(sources, out, *more):
    """The command of the recipe with the preset of the package."""
    return [
        *(sys.executable, "-m", "recipes.graphs.extract_edges"),
        *("--corpus", str(sources), "--out", str(out), "--texts", "line"),
        *("--shard-words", "60", *more),
    ]


@pytest.mark.slow
def test_processes_killed_and_beam_write_the_same(sources, tmp_path):
    one, two, beam = (tmp_path / name for name in ("one", "two", "beam"))
    subprocess.run(recipe(sources, one), check=True)
    processes = recipe(sources, two, "--num-processes", "2")
    job = subprocess.Popen(processes)
    while not list(two.glob("parts/*.json")):
        assert job.poll() is None
        time.sleep(0.01)
    time.sleep(np.random.default_rng(0).uniform(0, 0.5))
    job.send_signal(signal.SIGKILL)
    job.wait()
    subprocess.run(processes, check=True)
    assert contents(two) == contents(one)
    pytest.importorskip("apache_beam")
    workers = ("--direct_num_workers=2", "--direct_running_mode")
    subprocess.run(
        recipe(
            *(sources, beam, "--runner", "DirectRunner"),
            *(*workers, "multi_processing"),
        ),
        check=True,
    )
    assert contents(beam) == contents(one)
