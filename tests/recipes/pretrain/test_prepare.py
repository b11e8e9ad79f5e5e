"""The recipe that tokenises a corpus for `recipes.pretrain.text`."""

import pathlib

import pytest

from recipes.pretrain import prepare
from recipes.pretrain import text as pretrain_text


@pytest.fixture
def options(tmp_path):
    for name in "ab":
        words = f"one two three four five {name} " * 50
        (tmp_path / f"{name}.txt").write_text(words)
    return {
        "corpus": (str(tmp_path / "*.txt"),),
        "cache": tmp_path / "cache",
        "vocabulary_size": 9,
    }


def shards(cache):
    return {p: p.stat().st_mtime_ns for p in cache.rglob("*.np*")}


def test_pretraining_finds_what_was_prepared(options, tmp_path, capsys):
    corpus = prepare.prepare(prepare.Options(**options))
    assert "600 words, 9 in the vocabulary" in capsys.readouterr().out
    before = shards(options["cache"])
    training = pretrain_text.Options(out=tmp_path / "run", **options)
    found = pretrain_text.load(pretrain_text.resolve(training))
    assert found.path == corpus.path
    assert shards(options["cache"]) == before


@pytest.mark.filterwarnings("ignore")
def test_beam_prepares_the_same(options, capsys):
    pytest.importorskip("apache_beam")
    local = prepare.prepare(prepare.Options(**options))
    other = {**options, "cache": options["cache"] / "beam"}
    beam = prepare.prepare(prepare.Options(**other, runner="DirectRunner"))
    names = [pathlib.Path(c.path).parent.name for c in (local, beam)]
    assert names[0] == names[1]
    assert beam.vocabulary == local.vocabulary


def test_broken_files_are_named_unless_they_are_refused(options, tmp_path):
    (tmp_path / "c.txt").write_bytes(b"%PDF-1.7 and the rest")
    with pytest.raises(ValueError, match="c.txt is a PDF"):
        prepare.prepare(prepare.Options(**options, skip_broken=False))
    with pytest.warns(UserWarning, match="1 of 3 sources are broken.*\n.*PDF"):
        corpus = prepare.prepare(prepare.Options(**options))
    assert corpus.num_words == 600


def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match="runner is needed.*--flink_master"):
        prepare.prepare(prepare.Options(**options), ["--flink_master", "x"])
    with pytest.raises(ValueError, match="num_processes=0"):
        prepare.prepare(prepare.Options(**options, num_processes=0))
