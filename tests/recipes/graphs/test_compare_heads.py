import csv

import pytest

from recipes.graphs import compare_heads


@pytest.fixture
def options(preset, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("The cat sat, and the cat sat.\n\nThe end\n")
    return compare_heads.Options(
        texts, preset, csv=tmp_path / "out" / "heads.csv"
    )


def test_table_has_a_row_for_each_head(options, capsys):
    rows = compare_heads.main(options)
    assert len(rows) == 2 * 3 * 2  # directions, layers, heads
    printed = capsys.readouterr().out
    assert "by_distance" in printed and "Neither dead nor double" in printed
    with open(options.csv, newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["direction"] for row in written[5:7]] == ["forward", "backward"]
    assert float(written[0]["peak"]) == rows[0]["peak"]
    twin = "layer {}, head {}".format(*rows[0]["twin"])
    assert written[0]["twin"] == twin and twin in printed


def test_heads_that_are_dead_or_double_are_not_chosen():
    kinds = ["", "dead", "positional, sharp", "double, sharp"]
    rows = [
        {"direction": "forward", "layer": layer, "head": head, "kind": kind}
        for layer in (1, 2)
        for head, kind in enumerate(kinds[: 2 * layer], 1)
    ]
    assert compare_heads.chosen(rows) == {"forward": [[1], [1, 3]]}


def test_file_without_a_text_is_refused(options):
    options.texts.write_text("too short\n")
    with pytest.raises(ValueError, match="a line of 5 words. Received: texts"):
        compare_heads.main(options)
