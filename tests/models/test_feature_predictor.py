import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests import reference
from tests.backends import to_numpy
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features
from tests.models.small_models import arrays
from tests.models.small_models import randomised

TOLERANCE = 1e-5
DIRECTIONS = ("forward", "backward")
OPTIONS = {"embedding_dim": 8}


def inputs():
    return {
        "embeddings": features(),
        **{
            f"{direction}_graphs": factors(seed=seed, direction=direction)
            for seed, direction in enumerate(DIRECTIONS)
        },
    }


@pytest.mark.parametrize("share_cell", [True, False])
@pytest.mark.parametrize("composition", ["gru", "residual"])
def test_features_equal_the_formula(share_cell, composition):
    model = randomised(
        gk.FeaturePredictor(
            **OPTIONS, composition=composition, share_cell=share_cell
        )
    )
    assert len(model.weights) == (2 if share_cell else 6) * (
        3 if composition == "gru" else 2
    )
    found = to_numpy(model(inputs()))
    for direction in DIRECTIONS:
        graph = reference.graph(inputs()[f"{direction}_graphs"])
        x = features().astype("float64")
        for layer in range(3):
            m = reference.weighted_sum(graph[:, layer], x)
            cell = model.compositions[direction][layer].cell
            weights = [to_numpy(w) for w in cell.weights]
            if composition == "gru":
                x = reference.gru_cell(
                    np.concatenate([m * x, m], -1), x, *weights
                )
            else:
                x = x + m @ weights[0] + weights[1]
            np.testing.assert_allclose(
                found[f"{direction}_features"][:, layer], x, atol=TOLERANCE
            )


def sum_of_values(model, direction, graph, x):
    total = 0
    for index, layer in enumerate(model.weighted_sums[direction]):
        values, output = (to_numpy(w) for w in layer.weights)
        total += reference.weighted_sum(graph[:, index], x @ values) @ output
    return total


def sum_of_mixture(model, direction, graph, x):
    logits, kernel = (to_numpy(w) for w in model.mixtures[direction].weights)
    shares = np.exp(logits) / np.exp(logits).sum()
    return np.einsum("lk,blkts,bsd->btd", shares, graph, x) @ kernel


@pytest.mark.parametrize(
    ("messages", "summed"),
    [("values", sum_of_values), ("mixture", sum_of_mixture)],
)
def test_flat_features_equal_the_formula(messages, summed):
    """The heads of all layers gather from the embeddings at once."""
    model = randomised(
        gk.FeaturePredictor(**OPTIONS, num_heads=4, messages=messages)
    )
    found = to_numpy(model(inputs()))
    x = features().astype("float64")
    for direction in DIRECTIONS:
        graph = reference.graph(inputs()[f"{direction}_graphs"])
        m = summed(model, direction, graph, x)
        weights = [
            to_numpy(w) for w in model.compositions[direction][0].weights
        ]
        expected = reference.gru_cell(
            np.concatenate([m * x, m], -1), x, *weights
        )
        np.testing.assert_allclose(
            found[f"{direction}_features"], expected[:, None], atol=TOLERANCE
        )


def test_directions_are_checked():
    with pytest.raises(ValueError, match="directions='sideways'"):
        gk.FeaturePredictor(**OPTIONS, directions=("sideways",))


@pytest.mark.parametrize("messages", ["values", "mixture"])
@pytest.mark.parametrize(
    "sizes",
    [{"num_heads": 2}, {"num_heads": 4, "num_graph_layers": 2}],
)
def test_flat_features_refuse_graphs_of_another_size(messages, sizes):
    model = gk.FeaturePredictor(**OPTIONS, **sizes, messages=messages)
    with pytest.raises(
        ValueError, match=r"num_heads.*Received: 3 graph layers of \[4, 4, 4\]"
    ):
        model(inputs())


@pytest.mark.parametrize(
    "options",
    [
        {"share_cell": False},
        {"messages": "values", "num_heads": 4},
        {"messages": "mixture", "num_heads": 4},
    ],
)
def test_file_round_trip(options, tmp_path):
    model = randomised(gk.FeaturePredictor(**OPTIONS, **options))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    expected = to_numpy(model(inputs()))
    for name, values in to_numpy(loaded(inputs())).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    model = randomised(gk.FeaturePredictor(**OPTIONS, dtype=policy))
    exact = randomised(gk.FeaturePredictor(**OPTIONS))
    expected = to_numpy(exact(inputs()))
    for name, values in model(inputs()).items():
        difference = np.abs(to_numpy(values) - expected[name])
        assert difference.mean() < 0.03
    assert all(a.dtype == "float32" for a in arrays(model))
