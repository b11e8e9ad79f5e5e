"""What a page of graphs holds, and what `view_graphs` refuses."""

import keras
import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras.analysis import view_graphs
from tests.analysis.pages import both_directions
from tests.analysis.pages import content
from tests.analysis.pages import forward_graphs
from tests.analysis.pages import unpack

WORDS = ["a", "dog", "barks", "at", "night"]
FINE, COARSE = 0.6 / 65535, 0.6 / 255  # half a step and a little, of a maximum


def test_short_text_keeps_all_edges():
    graphs = both_directions(5)
    page = view_graphs(graphs, WORDS)
    for name, held in unpack(page).items():
        wanted = graphs[f"{name}_graphs"][0]
        np.testing.assert_array_equal(held > 0, wanted > 0)
        np.testing.assert_allclose(held, wanted, atol=FINE)
    assert content(page)["kept"] == "This page holds all edges."


def test_rows_keep_their_heaviest_edges_within_the_limit():
    graphs = {"forward_graphs": forward_graphs(8, layers=1, heads=1)}
    page = view_graphs(graphs, list("abcdefgh"), max_edges=16)
    held = unpack(page)["forward"][0, 0]
    wanted = graphs["forward_graphs"][0, 0, 0].astype("float64")
    second = np.sort(wanted, axis=-1)[:, -2:-1]
    wanted[wanted < second] = 0
    np.testing.assert_allclose(held, wanted, atol=FINE)
    share = wanted.sum() / graphs["forward_graphs"].sum()
    assert (
        f"the 2 heaviest edges of each row: {share:.1%}"
        in (content(page)["kept"])
    )


def test_equal_weights_keep_to_the_limit_too():
    graphs = gk.layers.UniformGraph(edges="all")(np.ones((1, 6), "bool"))
    page = view_graphs(graphs, list("abcdef"), max_edges=18)
    assert content(page)["texts"][0]["graphs"]["forward"]["edges"] == 18
    assert not content(page)["texts"][0]["graphs"]["forward"]["oneSided"]


def test_many_entries_are_rounded_to_bytes():
    graphs = {"forward_graphs": forward_graphs(300, layers=2, heads=3)}
    page = view_graphs(graphs, ["x"] * 300)
    held = unpack(page)["forward"]
    wanted = graphs["forward_graphs"][0]
    tolerance = COARSE * wanted.max(-1, keepdims=True)
    assert (np.abs(held - wanted) <= tolerance).all()


def test_factors_give_the_same_page_as_the_graphs_made_of_them():
    states = keras.random.normal((2, 5, 4), seed=0)
    mask = np.array([[True] * 5, [True] * 3 + [False] * 2])
    factored, made = {}, {}
    for direction in ("forward", "backward"):
        layer = gk.layers.KeyQueryProjection(
            num_heads=2, key_dim=3, num_graph_layers=2, direction=direction
        )
        factors = layer(states, states, mask)
        factored[f"{direction}_graphs"] = factors
        made[f"{direction}_graphs"] = gk.layers.SquaredReLUGraph()(factors)
    words = WORDS[:3]
    first = view_graphs(factored, words, example=1)
    second = view_graphs(made, words, example=1, padding_mask=mask)
    assert first.html == second.html
    expected = keras.ops.convert_to_numpy(made["backward_graphs"])
    np.testing.assert_allclose(
        unpack(first)["backward"], expected[1, :, :, :3, :3], atol=FINE
    )


def test_texts_have_their_own_graphs_and_words():
    graphs = {"premise": both_directions(5), "hypothesis": both_directions(2)}
    tokens = {"premise": WORDS, "hypothesis": [b"a", "dog"]}
    page = view_graphs(graphs, tokens)
    texts = content(page)["texts"]
    assert [text["name"] for text in texts] == ["premise", "hypothesis"]
    assert texts[1]["tokens"] == ["a", "dog"]
    assert unpack(page, 1)["forward"].shape == (2, 3, 2, 2)


def test_masks_of_several_texts_have_their_names():
    graphs = {"premise": both_directions(5), "hypothesis": both_directions(2)}
    tokens = {"premise": WORDS, "hypothesis": ["a", "dog"]}
    with pytest.raises(ValueError, match="`padding_mask` must be a dict"):
        view_graphs(graphs, tokens, padding_mask=np.ones((1, 5), "bool"))


def test_weights_without_products_stand_at_the_layers():
    graphs = {"forward_graphs": forward_graphs(5, layers=3, heads=1)}
    page = view_graphs(graphs, WORDS, weights={"forward": [0.2, 0.3, 0.5]})
    weights = content(page)["weights"]["forward"]
    assert weights == [0.2, 0.3, 0, 0.5, 0]  # G1, G2, P2, G3, P3


def test_200_words_with_24_heads_a_direction_fit_in_3_megabytes():
    graphs = both_directions(200, layers=3, heads=8, dense=True)
    page = view_graphs(graphs, ["word"] * 200)
    assert len(page.html.encode()) < 3e6
    edges = [g["edges"] for g in content(page)["texts"][0]["graphs"].values()]
    # All but those below 1/510 of the heaviest in their row.
    assert sum(edges) > 0.9 * 2 * 24 * 200 * 199 / 2


def test_page_is_saved_in_a_new_folder(tmp_path):
    page = view_graphs(both_directions(5), WORDS)
    page.save(tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").read_text("utf-8") == page.html


GRAPHS = both_directions(5)
IMAGE = np.zeros((2, 3, 3), "uint8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tokens": WORDS[:4]}, "`tokens` must have 5 entries.*4 tokens"),
        ({"tokens": None}, "either `tokens` or an `image`. Received: neither"),
        ({"image": IMAGE}, "either `tokens` or an `image`. Received: both"),
        (
            {"tokens": None, "image": IMAGE},
            r"for each pixel.*5 positions, an image of shape \(2, 3, 3\)",
        ),
        (
            {"tokens": None, "image": IMAGE[..., 0]},
            r"uint8 array \(H, W, 3\). Received: image of uint8, shape \(2",
        ),
        ({"graphs": {"graphs": 1}}, "dict with 'forward_graphs'"),
        (
            {"graphs": {"forward_graphs": np.zeros((2, 3, 5, 5))}},
            r"must have shape \(B, L, K, T, T\)",
        ),
        (
            {"graphs": {"forward_graphs": -forward_graphs(5)}},
            "none of them negative",
        ),
        (
            {
                "graphs": {
                    "forward_graphs": forward_graphs(5),
                    "backward_graphs": forward_graphs(5, heads=2),
                }
            },
            "both directions must have the same shape",
        ),
        ({"example": 1}, "one of the 1 in the batch.*example=1"),
        ({"example": -1}, "example=-1"),
        (
            {"padding_mask": np.ones((1, 4), "bool")},
            r"`padding_mask` must be boolean, of shape \(1, 5\).*\(1, 4\)",
        ),
        (
            {"padding_mask": np.array([[1, 1, 1, 1, 0]], "bool")},
            "`tokens` must have 4 entries",
        ),
        (
            {
                "padding_mask": np.array([[1, 1, 1, 1, 0]], "bool"),
                "tokens": WORDS[:4],
            },
            "no edge from or to padding. Received: 4 real positions of 5",
        ),
        (
            {"padding_mask": np.zeros((1, 5), "bool")},
            "no real position in this example",
        ),
        ({"tokens": {"premise": WORDS}}, "`graphs` must be a dict.*premise"),
        (
            {
                "tokens": {"a": WORDS, "b": WORDS},
                "graphs": {"a": GRAPHS, "b": both_directions(5, heads=1)},
            },
            "All texts must have graphs of the same layers",
        ),
        ({"weights": {"forward": [1] * 6}}, "`weights` must be a dict"),
        (
            {"weights": {"forward": [1] * 5, "backward": [1] * 5}},
            r"6 or, with products, 9 numbers.*'forward'\] of shape \(5,\)",
        ),
        (
            {"weights": {"forward": [0] * 6, "backward": [1] * 6}},
            "not all 0",
        ),
        ({"max_edges": 0}, "max_edges=0"),
        (
            {
                "graphs": {
                    "forward_graphs": np.zeros((1, 1, 1, 4097, 4097), "bool")
                },
                "tokens": ["x"] * 4097,
            },
            "up to 4096 positions.*4097",
        ),
    ],
)
def test_wrong_arguments_are_named(given, message):
    arguments = {"graphs": GRAPHS, "tokens": WORDS, **given}
    with pytest.raises(ValueError, match=message):
        view_graphs(**arguments)
