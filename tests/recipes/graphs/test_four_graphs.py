import json

import numpy as np
import pytest

from recipes.graphs import four_graphs

PREMISES = [
    "The cat sat down and the dog sat too.",
    "The dog, the cat and the end.",
    "It sat on the cat, the cat sat on it.",
    "The cat sat, sat, sat, and sat again.",
    "The cat sat on the dog on the mat.",
    "Too short.",
]


@pytest.fixture
def options(preset, tmp_path):
    lines = [
        json.dumps(
            {"gold_label": "neutral", "sentence1": p, "sentence2": "No."}
        )
        for p in PREMISES
    ]
    for name in ("train", "dev_matched", "dev_mismatched"):
        path = tmp_path / f"multinli_1.0_{name}.jsonl"
        path.write_text("\n".join(lines))
    return four_graphs.Options(tmp_path, preset, out=tmp_path / "out")


def test_four_graphs_of_four_sentences_are_drawn(options):
    drawn = four_graphs.main(options)
    assert len({" ".join(item["tokens"]) for item in drawn}) == 4
    assert len({(i["direction"], i["layer"]) for i in drawn}) == 4
    for name in ("a", "b", "c", "d", "four_graphs"):
        assert (options.out / f"{name}.png").stat().st_size > 1000


def test_heads_are_chosen_by_the_rule():
    rows = [
        {
            "direction": d,
            "layer": n,
            "peak": p,
            "by_distance": x,
            "empty_rows": 0,
        }
        for d, n, p, x in [
            ("forward", 1, 0.5, 0.1),
            ("forward", 1, 0.4, 0.1),  # a head of this layer is there
            ("backward", 1, 0.9, 0.6),  # positional
            ("backward", 2, 0.7, 0.2),
        ]
    ]
    assert [r["peak"] for r in four_graphs.choose_heads(rows)] == [0.7, 0.5]


def test_rows_without_a_strong_edge_are_left_out():
    graph = np.zeros((3, 3))
    graph[1, 0] = 1  # forced
    graph[2, :2] = 0.2, 0.8
    item = {"direction": "forward", "graph": graph, "tokens": list("abc")}
    assert four_graphs.relevant_rows(item) == [2]


def test_too_few_sentences_are_refused(options):
    options.longest = 9
    options.shortest = 9
    with pytest.raises(ValueError, match="4 sentences of 9 to 9.*Received: "):
        four_graphs.main(options)
