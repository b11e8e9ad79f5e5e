import pathlib
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from keras import ops

import glomo_keras as gk
from tests.backends import to_numpy
from tests.models.small_models import SIZES
from tests.models.small_models import arrays
from tests.models.small_models import coupled_predictor
from tests.models.small_models import inputs
from tests.models.small_models import randomised
from tests.models.small_models import small_predictor

ROOT = pathlib.Path(__file__).parents[2]
TOLERANCE = 1e-6
DIRECTIONS = ("forward", "backward")
COUPLED = [
    {"coupled": True},
    {"coupled": True, "share_cell": False, "composition": "residual"},
]
ABLATIONS = [
    {},
    *COUPLED,
    {"threshold": "scalar", "normalization": "layer"},
    {"activation": "square", "normalization": "none"},
    {"activation": "softmax"},
    {"filters": 12, "residual": True, "rotary_dim": 2, "key_dim": 4},
    {
        "rotary_dim": 2,
        "key_dim": 4,
        "rotary_heads": {"forward": None, "backward": [True, False]},
    },
]


def make(coupled=False, **options):
    if coupled:
        return randomised(coupled_predictor(**options))
    return small_predictor(**options)


def ids_of(options):
    return "-".join(f"{k}={v}" for k, v in options.items()) or "default"


@pytest.mark.parametrize("options", ABLATIONS, ids=ids_of)
def test_graphs_are_triangular_and_rows_sum_to_one_or_zero(options):
    predictor = make(**options)
    graphs = to_numpy(predictor(inputs()))
    for direction, one_side in zip(DIRECTIONS, (np.triu, np.tril), strict=True):
        graph = graphs[f"{direction}_graphs"]
        assert graph.shape == (2, 2, 2, 7, 7)
        assert np.all(one_side(graph) == 0)
        assert np.all(graph[1, ..., 4:] == 0) and np.all(
            graph[1, :, :, 4:] == 0
        )
        sums = graph.sum(-1)
        assert np.all((np.abs(sums - 1) < TOLERANCE) | (sums == 0))
        assert np.any(sums > 0)


@pytest.mark.parametrize("options", ABLATIONS[:2], ids=ids_of)
def test_both_outputs_are_the_same_graphs(options):
    predictor = make(**options)
    graphs, factors = predictor(inputs()), predictor.factored()(inputs())
    features = np.random.default_rng(1).normal(size=(2, 7, 6))
    layer = gk.layers.GraphTransfer(num_mixtures=2, conditioned=True)
    fused = [to_numpy(layer(features, x)) for x in (graphs, factors)]
    np.testing.assert_allclose(*fused, atol=1e-5)


@pytest.mark.parametrize("options", ABLATIONS, ids=ids_of)
def test_no_unit_sees_its_future(options):
    predictor = make(**options)
    x = inputs(lengths=(7, 7, 7))
    before = to_numpy(predictor(x))
    ids = x["token_ids"].copy()
    for text, unit in enumerate((0, 3, 6)):
        ids[text, unit] = (ids[text, unit] + 1) % 9
    after = to_numpy(predictor({**x, "token_ids": ids}))
    for text, unit in enumerate((0, 3, 6)):
        for direction, rows in (
            ("forward", slice(unit)),
            ("backward", slice(unit + 1, 7)),
        ):
            one, two = (x[f"{direction}_graphs"][text] for x in (before, after))
            np.testing.assert_array_equal(one[..., rows, :], two[..., rows, :])


@pytest.mark.parametrize("options", ABLATIONS[:2], ids=ids_of)
def test_padding_and_its_amount_change_no_real_entry(options):
    predictor = make(**options)
    x = inputs()
    graphs = to_numpy(predictor(x))
    other = np.where(x["padding_mask"], x["token_ids"], 8)
    longer = np.pad(other, ((0, 0), (0, 4)), constant_values=3)
    mask = np.pad(x["padding_mask"], ((0, 0), (0, 4)))
    moved = to_numpy(predictor({"token_ids": longer, "padding_mask": mask}))
    for name, graph in graphs.items():
        np.testing.assert_allclose(
            moved[name][..., :7, :7], graph, atol=TOLERANCE
        )
        assert np.all(moved[name][..., 7:] == 0)


@pytest.mark.parametrize(
    ("length", "lengths"), [(1, (1,)), (1, (1, 0)), (5, (0, 0)), (5, (5, 0))]
)
def test_single_positions_and_empty_rows_give_no_nan(length, lengths):
    graphs = small_predictor()(inputs(length, lengths))
    for graph in to_numpy(graphs).values():
        assert np.all(np.isfinite(graph))
        if length == 1 or not any(lengths):
            assert np.all(graph == 0)


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param("float32", marks=pytest.mark.slow),
        "mixed_bfloat16",
        pytest.param("mixed_float16", marks=pytest.mark.slow),
        "float16",
    ],
)
def test_precision_policies(policy, tmp_path):
    predictor = small_predictor(dtype=policy)
    expected = to_numpy(small_predictor()(inputs()))
    graphs = predictor(inputs())
    for name, graph in graphs.items():
        dtype = keras.backend.standardize_dtype(graph.dtype)
        assert dtype == predictor.token_embedding.compute_dtype
        difference = np.abs(to_numpy(graph) - expected[name])
        limit = 1e-6 if policy == "float32" else 0.1
        assert difference.sum() < limit * expected[name].sum()
    predictor.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for name, graph in loaded(inputs()).items():
        np.testing.assert_array_equal(to_numpy(graph), to_numpy(graphs[name]))


def test_float16_scores_of_1000_do_not_overflow():
    for policy in ("mixed_float16", "float16"):
        predictor = small_predictor(dtype=policy)
        for projection in predictor.projections.values():
            for name in ("key_kernel", "query_kernel"):
                weight = getattr(projection, name)
                weight.assign(100 * to_numpy(weight))
        factors = predictor.factored()(inputs())["forward_graphs"]
        queries, keys = (
            to_numpy(factors[name]) for name in ("queries", "past_keys")
        )
        assert (queries @ keys.swapaxes(-1, -2)).max() > 1000
        for graph in to_numpy(predictor(inputs())).values():
            assert np.all(np.isfinite(graph))
            sums = graph.sum(-1)
            assert np.all((np.abs(sums - 1) < 2e-3) | (sums == 0))


@pytest.mark.parametrize("options", [{}, COUPLED[1]], ids=ids_of)
def test_file_round_trip(options, tmp_path):
    predictor = make(**options)
    predictor.vocabulary = list("abcdefghi")
    predictor.tokenizer_config = {"lowercase": True, "numbers": "N"}
    predictor.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.vocabulary == predictor.vocabulary
    assert loaded.tokenizer_config == predictor.tokenizer_config
    assert loaded.get_config() == predictor.get_config()
    for name, graph in predictor(inputs()).items():
        np.testing.assert_array_equal(
            to_numpy(loaded(inputs())[name]), to_numpy(graph)
        )
    factors = loaded.factored()(inputs())["forward_graphs"]
    assert tuple(factors["past_keys"].shape) == (2, 2, 2, 7, 3)


def task_model(predictor):
    """A classifier of positions on top of a predictor's graphs."""
    features = keras.layers.Embedding(9, 6)(predictor.input["token_ids"])
    fused = gk.layers.GraphTransfer()(
        features,
        predictor.factored()(predictor.input),
    )
    outputs = keras.layers.Dense(2, activation="softmax")(fused)
    return keras.Model(predictor.input, outputs)


def test_frozen_predictor_stays_as_it_is_in_a_task(tmp_path):
    predictor = small_predictor(dropout=0.5)
    predictor.trainable = False
    expected = to_numpy(predictor(inputs()))
    for name, graph in predictor(inputs(), training=True).items():
        np.testing.assert_array_equal(to_numpy(graph), expected[name])
    before = arrays(predictor)
    model = task_model(predictor)
    model.compile(
        "sgd", loss="sparse_categorical_crossentropy", run_eagerly=True
    )
    task = [to_numpy(w) for w in model.trainable_weights]
    model.train_on_batch(inputs(), np.ones((2, 7)))
    for one, two in zip(before, arrays(predictor), strict=True):
        np.testing.assert_array_equal(one, two)
    moved = [
        np.any(one != to_numpy(two))
        for one, two in zip(task, model.trainable_weights, strict=True)
    ]
    assert sum(moved) > len(moved) / 2
    model.save(tmp_path / "task.keras")
    loaded = keras.models.load_model(tmp_path / "task.keras")
    values = [to_numpy(m(inputs(), training=True)) for m in (model, loaded)]
    np.testing.assert_array_equal(*values)
    assert len(loaded.trainable_weights) == len(model.trainable_weights)


@pytest.mark.slow
def test_task_model_is_loaded_by_a_fresh_process(tmp_path):
    model = task_model(small_predictor())
    model.save(tmp_path / "task.keras")
    x = inputs()
    np.savez(tmp_path / "x.npz", **x, expected=to_numpy(model(x)))
    code = """
        import sys
        import keras
        import numpy as np
        import glomo_keras
        with np.load(sys.argv[1] + "/x.npz") as arrays:
            x = dict(arrays)
        expected = x.pop("expected")
        model = keras.models.load_model(sys.argv[1] + "/task.keras")
        found = keras.ops.convert_to_numpy(model(x))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_other_kinds_of_numbers_are_taken():
    predictor = small_predictor()
    x = inputs()
    expected = to_numpy(predictor(x))["forward_graphs"]
    other = {
        "token_ids": x["token_ids"].astype("int64"),
        "padding_mask": x["padding_mask"].astype("int32"),
    }
    np.testing.assert_array_equal(
        to_numpy(predictor(other))["forward_graphs"], expected
    )
    predicted = predictor.predict(x, verbose=0)["forward_graphs"]
    np.testing.assert_allclose(predicted, expected, atol=TOLERANCE)


def test_same_seed_gives_the_same_weights():
    made = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        made.append(arrays(gk.GraphPredictor(**SIZES)))
    for one, two in zip(*made, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocabulary_size": 0}, "`vocabulary_size` must be"),
        ({"num_heads": 0}, "`num_heads` must be"),
        ({"key_dim": -1}, "`key_dim` must be"),
        ({"kernel_size": 0}, "`kernel_size` must be"),
        ({"num_conv_layers": 0}, "`num_layers` must be"),
        ({"num_graph_layers": 0}, "`num_graph_layers` must be"),
        ({"threshold": "none"}, "`threshold` must be"),
        ({"activation": "relu"}, "`activation` must be"),
        ({"normalization": "group"}, "`normalization` must be"),
        ({"filters": 0}, "`filters` must be"),
        ({"rotary_dim": 5}, "`rotary_dim` must be"),
        ({"rotary_heads": [True]}, "`rotary_heads` must be"),
        ({"rotary_heads": {"forward": None}}, "dict of `rotary_heads` must"),
        ({"dropout": 1.5}, "`dropout` must be"),
        ({"coupled": True, "composition": "sum"}, "`composition` must be"),
        ({"coupled": True, "num_heads": 3}, "must divide the width"),
        ({"coupled": True, "num_graph_layers": 0}, "`num_graph_layers` must"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        make(**options)


def test_array_instead_of_a_dict_is_refused():
    with pytest.raises(ValueError, match="a dict of token_ids, padding_mask"):
        small_predictor()(inputs()["token_ids"])


@pytest.mark.parametrize("activation", ["square", "softmax"])
def test_ablations_have_no_factored_form(activation):
    predictor = small_predictor(activation=activation)
    with pytest.raises(ValueError, match=f"squared ReLU.*'{activation}'"):
        predictor.factored()


def test_mixture_of_a_predictor_trains_it():
    """Gradients reach g through the factored form."""
    predictor = small_predictor()
    for direction in DIRECTIONS:  # so low that there are edges
        predictor.projections[direction].threshold_bias.assign([-5.0, -5.0])
    model = task_model(predictor)
    model.compile(
        "sgd", loss="sparse_categorical_crossentropy", run_eagerly=True
    )
    before = arrays(predictor)
    model.fit(inputs(), np.ones((2, 7)), verbose=0)
    moved = [
        np.any(one != two)
        for one, two in zip(before, arrays(predictor), strict=True)
    ]
    assert sum(moved) > 0.8 * len(moved)
    assert ops.all(ops.isfinite(model(inputs())))
