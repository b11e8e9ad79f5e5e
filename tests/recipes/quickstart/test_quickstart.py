"""The whole recipe at sizes at which it learns nothing but runs."""

import json

import numpy as np
import pytest

from recipes.quickstart import __main__ as quickstart

NOUNS = ("cat", "dog", "fish", "bird", "cow", "horse", "child", "wolf")
VERBS = ("sees", "hears", "follows", "knows", "likes", "finds")


def write_text(path, sentences=1200):
    generator = np.random.default_rng(0)
    lines = []
    for _ in range(sentences):
        a, b, c, d = generator.choice(NOUNS, 4)
        v, w = generator.choice(VERBS, 2)
        lines.append(f"The {a} {v} the {b}, and a {c} {w} the old {d}.")
    path.write_text("\n".join(lines), "utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    write_text(folder / "text.txt")
    options = quickstart.Options(
        out=folder / "run",
        text=str(folder / "text.txt"),
        vocabulary_size=40,
        embedding_dim=8,
        num_heads=2,
        key_dim=4,
        rotary_dim=2,
        num_positions=2,
        max_length=12,
        batch_size=2,
        steps_per_epoch=2,
        epochs=1,
        transfer_steps=2,
        seeds=1,
    )
    quickstart.main(options)
    return options


@pytest.mark.slow
def test_run_leaves_everything_it_names(finished):
    out = finished.out
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    sources = [row["graphs"] for row in metrics["transfer"]]
    assert sources == list(quickstart.SOURCES)
    assert metrics["export_error"] < 1e-5
    table = (out / "transfer" / "table.md").read_text("utf-8")
    assert "| learned" in table
    for name in ("graph.png", "graph.svg", "forward_graphs.png"):
        assert (out / "figures" / name).stat().st_size > 1000
    assert (out / "saved_model" / "1" / "saved_model.pb").exists()


@pytest.mark.slow
def test_second_run_trains_nothing(finished, capsys):
    path = finished.out / "transfer" / "runs.csv"
    before = path.stat().st_mtime_ns
    quickstart.main(finished)
    assert path.stat().st_mtime_ns == before
    assert "| learned" in capsys.readouterr().out


@pytest.mark.slow
def test_changed_text_is_refused(finished, tmp_path):
    write_text(tmp_path / "other.txt", sentences=1300)
    finished.text = str(tmp_path / "other.txt")
    with pytest.raises(ValueError, match="text_checksum"):
        quickstart.main(finished)


def test_missing_text_is_an_error_before_any_work(tmp_path):
    out = tmp_path / "run"
    options = quickstart.Options(out=out, text=str(tmp_path / "missing.txt"))
    with pytest.raises(FileNotFoundError, match="missing.txt"):
        quickstart.main(options)
    assert not out.exists()


@pytest.mark.parametrize("name", ["seeds", "transfer_steps"])
def test_options_out_of_range_are_refused_before_any_work(tmp_path, name):
    options = quickstart.Options(out=tmp_path / "run", **{name: 0})
    flag = "--" + name.replace("_", "-")
    with pytest.raises(ValueError, match=f"{flag} is at least 1"):
        quickstart.main(options)
    assert not (tmp_path / "run").exists()


def test_small_text_is_an_error_before_any_work(tmp_path):
    write_text(tmp_path / "text.txt", sentences=30)
    out = tmp_path / "run"
    options = quickstart.Options(out=out, text=str(tmp_path / "text.txt"))
    with pytest.raises(ValueError, match="text.txt' with 360 words"):
        quickstart.main(options)
    assert not out.exists()


def test_text_of_few_paragraphs_leaves_nothing_held_out(tmp_path):
    paragraphs = [f"paragraph {i}" for i in range(390)]
    with pytest.raises(ValueError, match="more than 400.*: 390 paragraphs"):
        quickstart.write_parts(paragraphs, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_parts_share_no_paragraph(tmp_path):
    paragraphs = [f"paragraph {i % 990}" for i in range(1005)]
    paths = quickstart.write_parts(paragraphs, tmp_path)
    kept, held_out = (
        paths[name].read_text("utf-8").splitlines()
        for name in ("pretraining", "held_out")
    )
    assert len(kept) == 805
    assert not set(kept) & set(held_out)
    assert held_out[0] == "paragraph 400" and len(held_out) == 190


def test_sharpest_head_is_the_one_with_lowest_entropy():
    graphs = np.zeros((1, 1, 3, 4, 4))
    graphs[0, 0, 0] = np.tril(np.ones((4, 4)), -1) / 2
    graphs[0, 0, 1, 1:, 0] = 1
    graphs[0, 0, 2, 3, 0] = 1  # sharp, but most of its rows are empty
    assert tuple(quickstart.sharpest(graphs)) == (0, 1)
