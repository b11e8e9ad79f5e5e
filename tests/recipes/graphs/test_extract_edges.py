"""The recipe that writes tables of edges."""

import pytest

from recipes.graphs import extract_edges


@pytest.fixture
def options(preset, tmp_path):
    (tmp_path / "a.txt").write_text("The cat sat on the cat.\n\nThe cat sat.")
    return {
        "corpus": (str(tmp_path / "a.txt"),),
        "out": tmp_path / "edges",
        "predictor": preset,
        "texts": "blank_line",
    }


@pytest.mark.slow
def test_tables_are_written_and_counted(options, capsys):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    out = extract_edges.main(extract_edges.Options(**options))
    edges = pandas.read_parquet(out / "edges")
    printed = capsys.readouterr().out
    assert f"{out}: {len(edges)} edges of 11 words" in printed
    assert set(edges["receiver_word"]) <= set("The the cat sat on .".split())


def test_wrong_options_are_refused(options):
    with pytest.raises(
        ValueError, match="--runner is needed.*--flink_master x"
    ):
        extract_edges.main(
            extract_edges.Options(**options), ["--flink_master", "x"]
        )
    with pytest.raises(ValueError, match="max_length=0"):
        extract_edges.main(extract_edges.Options(**options, max_length=0))
