import pathlib

import keras
import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras import data
from recipes.convert import squad as convert
from recipes.convert.pretrainer import OfficialState
from tests import released_squad
from tests.backends import to_numpy
from tests.models.small_models import small_predictor

GOLDENS = pathlib.Path(__file__).parents[2] / "goldens"
TOLERANCE = 1e-4  # of the logits; they are met to about 1e-6
LAYERS, HEADS, WORDS, LETTERS, HIDDEN = 3, 4, 12, 10, 7
TERMS = {True: (2 * LAYERS - 1) * HEADS, False: LAYERS * HEADS}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDENS / "transfer_emb_cond.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def parameters(golden):
    return {
        name.removeprefix("param/"): array
        for name, array in golden.items()
        if name.startswith("param/")
    }


def official(parameters):
    return OfficialState(parameters, "state.npz", "SQuAD model")


@pytest.fixture(scope="module")
def reader(parameters):
    """The released model; no test changes it."""
    return convert.convert(official(parameters))


def variant(
    parameters, place="embeddings", mixture="conditioned", products=True, n=2
):
    """A random state of another variant, from the golden one's shapes."""
    rng = np.random.default_rng(0)
    dropped = ("scales", "mixt_", "gate_layer", "rnn.rnns.0.weight_ih", "qc_")
    made = {k: v for k, v in parameters.items() if not k.startswith(dropped)}
    width = 2 * HIDDEN if place == "states" else WORDS
    gate, encoder = width, WORDS + LETTERS
    if place is None:
        gate = 0
    elif mixture == "uniform":
        parts = 2
    else:
        parts = 1 + 2 * n
        gate = width * max(1, n // 2)
        made["scales"] = rng.normal(size=(2, n))
        for name in ("mixt_logits_fw", "mixt_logits_bw"):
            if mixture == "free":
                made[name] = rng.normal(size=(n, TERMS[products]))
                continue
            for i in range(n):
                shape = (TERMS[products], width)
                made[f"{name}.{i}.1.weight"] = rng.normal(size=shape)
                made[f"{name}.{i}.1.bias"] = rng.normal(size=shape[0])
    if gate:
        for name in ("linear", "gate"):
            shape = (gate, parts * width)
            made[f"gate_layer.{name}.weight"] = rng.normal(size=shape) / 4
            made[f"gate_layer.{name}.bias"] = rng.normal(size=gate)
    if place == "embeddings":
        encoder += gate
    states = 4 * HIDDEN if place == "states" else 2 * HIDDEN
    for suffix in ("", "_reverse"):
        shape = (3 * HIDDEN, encoder)
        name = f"rnn.rnns.0.weight_ih_l0{suffix}"
        made[name] = rng.normal(size=shape) / 4
    made["qc_att.dot_scale"] = rng.normal(size=states) / 4
    for name in ("input", "memory"):
        made[f"qc_att.{name}_linear.weight"] = rng.normal(size=(1, states)) / 4
    made["linear_1.0.weight"] = rng.normal(size=(HIDDEN, 4 * states)) / 4
    return made


def example(golden, row=0):
    """An example of the goldens, without its padding, for the reference."""
    made = {}
    for text, name, short in (
        ("context", "context", "p"),
        ("question", "ques", "q"),
    ):
        length = golden[f"in/{name}_lens"][row]
        made[text] = {
            "words": golden[f"in/{name}_idxs"][row, :length],
            "letters": golden[f"in/{name}_char_idxs"][row, :length],
            "graphs": golden[f"in/graphs_{short}"][row, ..., :length, :length],
        }
    return made


def inputs(texts):
    """An example as inputs of a `SpanReader` with `GivenGraphs`."""
    made = {}
    for text, arrays in texts.items():
        forward, backward = np.split(arrays["graphs"], 2)
        made |= {
            f"{text}_word_ids": arrays["words"],
            f"{text}_letter_ids": arrays["letters"],
            f"{text}_padding_mask": np.ones(len(arrays["words"]), bool),
            f"{text}_forward_graphs": forward,
            f"{text}_backward_graphs": backward,
        }
    return {name: array[None] for name, array in made.items()}


def read(reader, texts):
    given = inputs(texts)
    return to_numpy(reader({name: given[name] for name in reader.input}))


def test_reader_is_the_released_model_without_padding(golden, reader):
    found = read(reader, example(golden))
    for name, key in (("start_logits", "logit1"), ("end_logits", "logit2")):
        np.testing.assert_allclose(
            found[name][0], golden[f"out/{key}"][0], atol=TOLERANCE
        )
    spans = data.decode_spans(found["start_logits"], found["end_logits"])
    expected = [golden["out/yp1"][0], golden["out/yp2"][0]]
    np.testing.assert_array_equal(spans[0], expected)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(0, marks=pytest.mark.slow),
        1,
        pytest.param(2, marks=pytest.mark.slow),
    ],
)
def test_padding_changes_no_logit(golden, reader, row):
    alone = read(reader, example(golden, row))
    length = golden["in/context_lens"][row]
    padded = {}
    for text, name, short in (
        ("context", "context", "p"),
        ("question", "ques", "q"),
    ):
        words = golden[f"in/{name}_idxs"]
        real = np.arange(words.shape[1]) < golden[f"in/{name}_lens"][:, None]
        graphs = golden[f"in/graphs_{short}"] * real[:, None, None, :, None]
        padded |= {
            f"{text}_word_ids": words,
            f"{text}_letter_ids": golden[f"in/{name}_char_idxs"],
            f"{text}_padding_mask": real,
            f"{text}_forward_graphs": graphs[:, :3],
            f"{text}_backward_graphs": graphs[:, 3:],
        }
    together = to_numpy(reader(padded))
    for name, values in alone.items():
        np.testing.assert_allclose(
            together[name][row, :length], values[0], atol=1e-5
        )


VARIANTS = {
    "none": {"place": None},
    "uniform": {"mixture": "uniform"},
    "free": {"mixture": "free"},
    "free without products": {"mixture": "free", "products": False},
    "conditioned without products": {"products": False},
    "one mixture": {"n": 1},
    "four mixtures": {"n": 4, "mixture": "free"},
    "states": {"place": "states"},
    "free on states": {"place": "states", "mixture": "free"},
}


@pytest.mark.parametrize(
    "options",
    [
        options
        if name in ("none", "uniform", "free", "states")
        else pytest.param(options, marks=pytest.mark.slow)
        for name, options in VARIANTS.items()
    ],
    ids=VARIANTS,
)
def test_other_variants_equal_the_formulas(golden, parameters, options):
    state = variant(parameters, **options)
    reader = convert.convert(official(state))
    texts = example(golden, row=1)
    found = read(reader, texts)
    expected = released_squad.logits(state, texts)
    for values, wanted in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(values[0], wanted, atol=TOLERANCE)


def test_formulas_are_those_of_the_released_code(golden, parameters):
    expected = released_squad.logits(parameters, example(golden))
    for key, values in zip(("logit1", "logit2"), expected, strict=True):
        np.testing.assert_allclose(
            values, golden[f"out/{key}"][0], atol=TOLERANCE
        )


@pytest.mark.slow
def test_graphs_of_a_predictor_take_the_place_of_those_given(parameters):
    predictor = small_predictor(num_heads=4, num_graph_layers=3)
    given = convert.convert(official(parameters))
    reader = convert.convert(official(parameters), predictor)
    assert isinstance(reader.graphs, gk.models.PredictedGraphs)
    assert reader.placement == "embeddings"
    rng = np.random.default_rng(1)
    texts, ids = {}, {}
    for text, length in (("context", 6), ("question", 3)):
        ids[f"{text}_token_ids"] = rng.integers(0, 9, (1, length))
        graphs = predictor(
            {
                "token_ids": ids[f"{text}_token_ids"],
                "padding_mask": np.ones((1, length), bool),
            }
        )
        texts[text] = {
            "words": rng.integers(0, 40, length),
            "letters": rng.integers(0, 20, (length, 16)),
            "graphs": np.concatenate(
                [
                    to_numpy(graphs[f"{name}_graphs"])[0]
                    for name in ("forward", "backward")
                ]
            ),
        }
    expected = read(given, texts)
    arrays = {**inputs(texts), **ids}
    found = to_numpy(reader({name: arrays[name] for name in reader.input}))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)


def test_recipe_writes_a_file_that_keras_loads(golden, parameters, tmp_path):
    np.savez(tmp_path / "state.npz", **parameters)
    options = convert.Options(tmp_path / "state.npz", tmp_path / "out.keras")
    convert.main(options)
    loaded = keras.models.load_model(options.out)
    assert isinstance(loaded, gk.models.SpanReader)
    found = read(loaded, example(golden))["end_logits"][0]
    np.testing.assert_allclose(found, golden["out/logit2"][0], atol=TOLERANCE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rnn_2.init_hidden.0": None}, "lacks the parameter 'rnn_2.init"),
        ({"extra": np.zeros(3)}, r"no place for. Received: \['extra'\]"),
        ({"linear_2.0.bias": np.zeros(5)}, r"shape \(7,\). Received: shape"),
        ({"elmo_scale": np.ones(1)}, "ELMo in place of word vectors"),
        ({"gru_cell.weight_ih": np.ones(1)}, "gate_fuse 1"),
        ({"linear_start.weight": np.ones(1)}, "without a pointer network"),
        ({"gate_layer.linear.weight": None}, "gate_fuse 0"),
    ],
)
def test_state_of_another_model_is_refused(parameters, change, message):
    state = {k: v for k, v in {**parameters, **change}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        convert.convert(official(state))


@pytest.mark.parametrize(
    ("terms", "heads", "expected"),
    [
        (20, None, (4, True)),
        (12, None, (4, False)),
        (15, 3, (3, True)),
        (15, 5, (5, False)),
    ],
)
def test_mixture_tells_heads_and_products(terms, heads, expected):
    assert convert.mixture_size(terms, 3, heads) == expected


@pytest.mark.parametrize(("terms", "heads"), [(15, None), (7, None), (20, 5)])
def test_mixture_that_tells_nothing_is_refused(terms, heads):
    with pytest.raises(ValueError, match="say the sizes.*Received: "):
        convert.mixture_size(terms, 3, heads)


def test_missing_file_is_named(tmp_path):
    options = convert.Options(tmp_path / "no.npz", tmp_path / "out.keras")
    with pytest.raises(SystemExit, match="no.npz"):
        convert.main(options)
