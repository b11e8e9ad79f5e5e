"""Drawing the graphs of a sentence."""

import pytest

from recipes.graphs import draw as draw_graphs


def test_edges_and_pictures(preset, tmp_path, capsys):
    options = draw_graphs.Options(
        "The cat sat, the cat", preset, tmp_path / "out", edges=2, layer=3
    )
    draw_graphs.main(options)
    for direction in ("forward", "backward"):
        assert (tmp_path / "out" / f"{direction}_graphs.png").stat().st_size
    header, _, *rows, forward, backward = (
        capsys.readouterr().out.strip().split("\n")
    )
    assert header.split()[:3] == ["receiver", "source", "weight"]
    assert len(rows) == 2
    assert all(" 3." in row for row in rows)


def test_direction_that_is_none_is_refused(preset, tmp_path):
    options = draw_graphs.Options(
        "The cat sat", preset, tmp_path, direction="up"
    )
    with pytest.raises(ValueError, match="Received: direction='up'"):
        draw_graphs.main(options)


def test_graphs_are_those_of_the_words(preset):
    tokens, graphs = draw_graphs.graphs_of("Cat, the dog", preset)
    assert tokens == ["cat", "<unk>", "the", "<unk>"]
    assert graphs["forward_graphs"].shape == (3, 2, 4, 4)


def test_text_without_a_word_is_refused(preset):
    with pytest.raises(ValueError, match="no word in the text. Received: ' '"):
        draw_graphs.graphs_of(" ", preset)
