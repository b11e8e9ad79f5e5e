import csv
import dataclasses
import json
import pathlib
import random

import keras
import numpy as np
import pytest

from recipes.graphs import ablations
from recipes.graphs import transfer_perplexity
from recipes.graphs.fresh_features import ProbeOptions

WORDS = "the cat sat on a mat while two dogs ran after one small bird".split()
TINY = {
    "vocabulary_size": 40,
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 4,
    "num_conv_layers": 1,
    "num_graph_layers": 2,
    "num_positions": 4,
    "max_length": 12,
    "batch_size": 4,
    "validation_steps": 1,
    "jit_compile": "false",
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rng = random.Random(0)
    lines = [" ".join(rng.choices(WORDS, k=30)) + "." for _ in range(60)]
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text("\n\n".join(lines))
    return path


def options(corpus, folder, **kwargs):
    transfer = ProbeOptions(
        uses=("mixture",),
        embedding_dim=8,
        steps=2,
        batch_size=4,
        max_length=12,
        num_positions=3,
        num_candidates=0,
        held_out_windows=2,
    )
    return ablations.Options(
        corpus=(str(corpus),),
        out=folder / "out",
        cache=folder / "cache",
        **{**TINY, "transfer": transfer, "steps": 4, "seeds": 1, **kwargs},
    )


def read_table(out):
    with (out / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_table_has_means_intervals_and_ratios_paired_by_seed(tmp_path):
    every = options(tmp_path / "text", tmp_path, seeds=2)
    every.out.mkdir()
    for number, row in enumerate(ablations.ROWS):
        for seed, perplexity in ((0, 10 + number), (1, 12 + 2 * number)):
            run = {"use": "mixture", "seed": seed, "source": row}
            run["perplexity"] = perplexity
            run["settings"] = ablations.settings_of(every)
            transfer_perplexity.write_run(every.out / "runs.csv", run)
    rows = ablations.main(every)
    assert [row["row"] for row in rows] == list(ablations.ROWS)
    assert [row["row"] for row in read_table(every.out)] == [*ablations.ROWS]
    assert rows[0]["/ full"] == ""
    for number, row in enumerate(rows):
        assert row["seeds"] == 2
        assert row["perplexity"] == 11 + 1.5 * number
        np.testing.assert_allclose(  # Student's t of one degree of freedom
            row["high"] - row["low"], (2 + number) * 12.706, rtol=1e-4
        )
    assert rows[-1]["/ full"].startswith("1.789 (")  # sqrt(1.6 * 2.0)
    assert not (every.out / "full").exists()


def test_one_seed_has_no_interval_and_three_digits(tmp_path):
    one = options(tmp_path / "text", tmp_path, rows=("full", "uniform"))
    one.out.mkdir()
    for row, perplexity in (("full", 100.0), ("uniform", 104.2)):
        run = {"use": "mixture", "seed": 0, "source": row}
        run["perplexity"] = perplexity
        run["settings"] = ablations.settings_of(one)
        transfer_perplexity.write_run(one.out / "runs.csv", run)
    _, uniform = ablations.main(one)
    assert (uniform["low"], uniform["high"]) == ("", "")
    assert "| 1.042" in (one.out / "table.md").read_text()


@pytest.mark.slow
def test_every_row_is_pretrained_and_measured_once(corpus, tmp_path):
    every = options(corpus, tmp_path)
    rows = ablations.main(every)
    keras.config.set_dtype_policy("float32")
    assert [row["row"] for row in rows] == list(ablations.ROWS)
    perplexities = {row["perplexity"] for row in rows}
    assert len(perplexities) == len(rows) and min(perplexities) > 1
    made = {path.parent.name for path in every.out.glob("*/seed-0")}
    assert made == set(ablations.CHANGES)
    lines = (every.out / "runs.csv").read_text().splitlines()
    assert len(lines) == 1 + len(rows)
    again = ablations.main(every)
    assert [row["perplexity"] for row in again] == [
        row["perplexity"] for row in rows
    ]
    assert (every.out / "runs.csv").read_text().splitlines() == lines


def test_rows_of_a_seed_share_their_text(corpus, tmp_path):
    every = options(corpus, tmp_path)
    stream, _ = ablations.load(every, 0)
    run = every.out / "full" / "seed-0"
    run.mkdir(parents=True)
    facts = {"words": stream.num_words + 1}
    (run / "data.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="not those of the run.*words"):
        ablations.main(every)
    ablations.load(every, 1)  # of which there is none yet
    facts = {"vocabulary": "that of another text"}
    (run / "data.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="not those of the run.*vocabulary"):
        ablations.load(every, 1)


def test_other_vectors_in_the_same_file_are_other_settings(corpus, tmp_path):
    every = options(corpus, tmp_path)
    vectors = tmp_path / "vectors.txt"
    transfer = dataclasses.replace(every.transfer, vectors=vectors)
    every = dataclasses.replace(every, transfer=transfer)
    settings = set()
    for text in ("cat 1.0 2.0", "cat 2.0 1.0", "cat 2.0 1.0"):
        vectors.write_text(text)
        settings.add(ablations.settings_of(every))
    assert len(settings) == 2


@pytest.mark.parametrize("row", ablations.CHANGES)
def test_a_row_changes_what_it_leaves_out_and_nothing_else(tmp_path, row):
    every = options(tmp_path / "text", tmp_path)
    full, own = (
        dataclasses.asdict(ablations.pretraining(every, name, 3))
        for name in ("full", row)
    )
    changed = {name for name in full if full[name] != own[name]}
    assert changed - {"out"} == set(ablations.CHANGES[row])
    assert own["seed"] == 3
    assert own["epochs"] * own["steps_per_epoch"] == every.steps


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 6}, "--steps is a multiple of 4"),
        ({"seeds": 0}, "--seeds is at least 1"),
        ({"epochs": 2}, "--epochs is not given"),
        ({"minutes": 1.0}, "--minutes is not given"),
        ({"num_processes": 2}, "--num-processes is 1"),
        ({"start_from": pathlib.Path("preset")}, "--start-from is not given"),
        ({"rows": ("uniform",)}, "--rows is a list that begins with full"),
        ({"learning_rate": -1.0}, "--learning-rate is above 0"),
        ({"coupled": True}, "--coupled is not True, which is the row coupled"),
        ({"context_length": 1}, "--context-length is not 1, which is the row"),
        ({"transfer": ProbeOptions(steps=0)}, "--steps is at least 1"),
        (
            {"transfer": ProbeOptions(uses=("pretraining",), embedding_dim=9)},
            "--embedding-dim is a multiple of the 2 heads",
        ),
        ({"transfer": ProbeOptions(max_length=0)}, "--max-length is at least"),
        ({"transfer": ProbeOptions(max_length=6)}, "--max-length is at least"),
        ({"transfer": ProbeOptions(num_candidates=-2)}, "--num-candidates is"),
        ({"transfer": ProbeOptions(uses=("heads",) * 2)}, "--uses is one or"),
        (
            {"transfer": ProbeOptions(directions=("forward",) * 2)},
            "--directions is one or more, each once",
        ),
        ({"rows": ("full", "full")}, "--rows is one or more, each once"),
        (
            {"transfer": ProbeOptions(vectors=pathlib.Path("missing"))},
            "--vectors is a file of word vectors",
        ),
    ],
)
def test_bad_options_are_refused_before_any_work(tmp_path, changes, message):
    bad = options(tmp_path / "text", tmp_path, **changes)
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        ablations.main(bad)
    assert not bad.out.exists()
