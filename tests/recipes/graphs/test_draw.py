"""Drawing the graphs of a sentence."""

import pytest

from recipes.graphs import draw as draw_graphs


def test_edges_and_pictures(preset, tmp_path, capsys):
    options = draw_graphs.Options(
        "The cat sat the cat", preset, tmp_path / "out", edges=2, layer=3
    )
    draw_graphs.main(options)
    for direction in ("forward", "backward"):
        assert (tmp_path / "out" / f"{direction}_graphs.png").stat().st_size
    header, _, *rows, forward, backward = (
        capsys.readouterr().out.strip().split("\n")
    )
    assert header.split()[:3] == ["receiver", "source", "weight"]
    assert len(rows) == 2
    assert header.split()[-2:] == ["layer", "head"]
    assert {row.split()[-2] for row in rows} == {"3"}
    assert {row.split()[-1] for row in rows} <= {"1", "2"}


def test_direction_that_is_none_is_refused(preset, tmp_path):
    options = draw_graphs.Options(
        "The cat sat", preset, tmp_path, direction="up"
    )
    with pytest.raises(ValueError, match="Received: direction='up'"):
        draw_graphs.main(options)


@pytest.mark.slow
def test_unknown_words_stand_as_in_the_text_and_are_named(
    preset, tmp_path, capsys
):
    options = draw_graphs.Options("Cat, the dog sat", preset, tmp_path, layer=1)
    draw_graphs.main(options)
    printed = capsys.readouterr().out
    assert "not in the vocabulary: ,, dog" in printed
    assert "<unk>" not in printed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": " "}, "no word in the text. Received: ' '"),
        ({"edges": 0}, "at least 1. Received: edges=0"),
    ],
)
def test_wrong_options_are_refused(given, message, preset, tmp_path):
    options = {"text": "The cat", "predictor": preset, "out": tmp_path, **given}
    with pytest.raises(ValueError, match=message):
        draw_graphs.main(draw_graphs.Options(**options))
