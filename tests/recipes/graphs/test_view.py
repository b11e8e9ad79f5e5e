"""The recipe that makes an interactive page of graphs."""

import json
import re

import numpy as np
import PIL.Image
import pytest

import glomo_keras as gk
from recipes.graphs import view

SMALL = {"num_heads": 2, "key_dim": 4, "num_conv_layers": 1}


def content(path):
    """What the page holds."""
    found = re.search(r'id="data">(.*?)</script>', path.read_text("utf-8"))
    return json.loads(found[1])


def test_page_of_a_text_has_its_words_and_names_unknown_ones(preset, tmp_path):
    output = tmp_path / "new" / "page.html"
    view.main(view.Options("The Cat ran", predictor=preset, out=output))
    page = content(output)
    assert page["texts"][0]["tokens"] == ["The", "Cat", "ran"]
    assert page["title"].endswith("(not in its vocabulary: ran)")
    assert (page["layers"], page["heads"]) == (3, 2)


def test_title_names_ten_unknown_words_and_counts_the_others(preset, tmp_path):
    output = tmp_path / "page.html"
    text = " ".join(f"word{letter}" for letter in "abcdefghijkl")
    view.main(view.Options(text, predictor=preset, out=output))
    assert content(output)["title"].endswith("wordi, wordj and 2 more)")


def test_page_of_two_texts(preset, tmp_path):
    output = tmp_path / "page.html"
    options = view.Options(
        "The cat sat",
        "Cat sat",
        ("context", "question"),
        predictor=preset,
        out=output,
    )
    view.main(options)
    lengths = {t["name"]: t["length"] for t in content(output)["texts"]}
    assert lengths == {"context": 3, "question": 2}


def test_page_of_an_image(tmp_path):
    predictor = gk.ImageGraphPredictor(embedding_dim=6, **SMALL)
    predictor.save_to_preset(tmp_path / "preset")
    PIL.Image.fromarray(np.full((9, 9, 3), 7, "uint8")).save(tmp_path / "i.png")
    output = tmp_path / "page.html"
    view.main(
        view.Options(
            image=tmp_path / "i.png",
            size=4,
            predictor=str(tmp_path / "preset"),
            out=output,
        )
    )
    page = content(output)
    assert (page["image"]["height"], page["image"]["width"]) == (4, 4)
    assert page["texts"][0]["length"] == 16


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "either a text or an image.*text=None, image=None"),
        ({"text": " "}, "no word in the text. Received: ' '"),
        ({"text": "a", "image": "b"}, "either a text or an image"),
        (
            {"image": "a", "second_text": "b"},
            "--second-text is for a page of texts. Received: second_text=b",
        ),
        ({"text": "a", "names": ("b", "b")}, "two different names.*'b', 'b'"),
        ({"image": "a", "size": 0}, "at least 1. Received: size=0"),
    ],
)
def test_wrong_options_are_named(given, message, preset):
    with pytest.raises(ValueError, match=message):
        view.main(view.Options(**given, predictor=preset))
