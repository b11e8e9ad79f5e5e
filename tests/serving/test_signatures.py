"""What a client of the exported predictor gets, text or ids."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from glomo_keras.data import WordTokenizer
from glomo_keras.serving import export_saved_model
from tests.serving.fresh_process import run_python
from tests.serving.nasty_texts import TEXTS
from tests.serving.nasty_texts import random_texts
from tests.serving.small_predictor import NUM_HEADS
from tests.serving.small_predictor import NUM_LAYERS
from tests.serving.small_predictor import small_predictor

TOLERANCE = 1e-6
MAX_LENGTH = 500
MAX_CHARACTERS = 20_000
NUM_EDGES = 3
NUM_WEIGHTS = (2 * NUM_LAYERS - 1) * NUM_HEADS
WORDS = "the cat sat on mat it was tired n't 's don do 日本語 N . , ! e\u0301"
VOCABULARY = ["<pad>", "<unk>", *WORDS.split()]
ODD_WORDS = [" ", "\t", "a ", "\x0b", "\x85", "\u2028", "\ufeff", "\x00", "#"]
FILLED = VOCABULARY + ODD_WORDS + [f"word{i}x" for i in range(20_000)]
TOKENS = {"tokens", "token_offsets", "length"}
GRAPHS = {"forward_graphs", "backward_graphs"}
MIXTURES = {"forward_mixture", "backward_mixture"}
EDGES = {
    f"{direction}_edge_{part}"
    for direction in ("forward", "backward")
    for part in ("sources", "weights")
}
SIGNATURES = {
    "serving_default": ({"text"}, TOKENS | GRAPHS),
    "mixture": ({"text", "weights"}, TOKENS | MIXTURES),
    "edges": ({"text"}, TOKENS | EDGES),
    "from_ids": ({"token_ids", "padding_mask"}, GRAPHS),
    "mixture_from_ids": (
        {"token_ids", "padding_mask", "weights"},
        MIXTURES,
    ),
    "edges_from_ids": ({"token_ids", "padding_mask"}, EDGES),
    "from_ids_and_length": ({"token_ids", "length"}, GRAPHS),
    "mixture_from_ids_and_length": (
        {"token_ids", "length", "weights"},
        MIXTURES,
    ),
    "edges_from_ids_and_length": ({"token_ids", "length"}, EDGES),
}


@pytest.fixture(scope="module")
def tokenizer():
    return WordTokenizer(FILLED, numbers="N")


@pytest.fixture(scope="module")
def predictor():
    keras.utils.set_random_seed(0)
    model = small_predictor(len(FILLED), 128)
    model.vocabulary = FILLED
    return model


@pytest.fixture(scope="module")
def exported(predictor, tokenizer, tmp_path_factory):
    return export_saved_model(
        predictor,
        tmp_path_factory.mktemp("models") / "small",
        tokenizer=tokenizer,
        max_length=MAX_LENGTH,
        num_edges=NUM_EDGES,
        max_characters=MAX_CHARACTERS,
    )


@pytest.fixture(scope="module")
def served(exported):
    """A function of a signature's name and its inputs as arrays."""
    signatures = tf.saved_model.load(str(exported)).signatures

    def call(name, **inputs):
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        outputs = signatures[name](**tensors)
        return {key: value.numpy() for key, value in outputs.items()}

    call.signatures = signatures
    return call


def sentences(batch, length):
    """Texts of known and unknown words, each one word shorter."""
    draw = np.random.default_rng(batch)
    words = draw.choice([*VOCABULARY[2:], "unknown"], (batch, length))
    lengths = np.maximum(1, length - np.arange(batch))
    return [
        " ".join(row[:size]) for row, size in zip(words, lengths, strict=True)
    ]


def ids_of(tokenizer, texts):
    read = tokenizer(texts)
    return {
        name: np.asarray(read[name]) for name in ("token_ids", "padding_mask")
    }


def with_length(ids):
    """The same ids by `length`, the mask left out."""
    length = ids["padding_mask"].sum(1, dtype="int32")
    return {"token_ids": ids["token_ids"], "length": length}


def mixture_weights(batch):
    draw = np.random.default_rng(batch)
    return draw.normal(size=(batch, 2, NUM_WEIGHTS)).astype("float32")


def mixed(graphs, weights):
    """One mixture a text, term by term in float64.

    Args:
        graphs: `(B, L, K, T, T)`.
        weights: `(B, N)`.
    """
    graphs = graphs.astype("float64")
    terms = [graphs[:, 0]]
    product = graphs[:, 0]
    for layer in range(1, NUM_LAYERS):
        product = graphs[:, layer] @ product
        terms += [graphs[:, layer], product]
    terms = np.concatenate(terms, 1)  # (B, N, T, T)
    return np.einsum("bn,bnts->bts", weights.astype("float64"), terms)


def assert_edges(edges, graph, direction):
    """The first edges of each unit in falling order, then fillers."""
    sources = edges[f"{direction}_edge_sources"]
    weights = edges[f"{direction}_edge_weights"]
    missing = max(0, NUM_EDGES - graph.shape[-1])
    ordered = -np.sort(-graph, axis=-1)[..., :NUM_EDGES]
    ordered = np.pad(ordered, [(0, 0)] * 4 + [(0, missing)])
    np.testing.assert_allclose(weights, ordered, atol=TOLERANCE)
    np.testing.assert_array_equal(sources < 0, weights == 0)
    assert sources.min() >= -1
    drawn = np.take_along_axis(graph, np.maximum(sources, 0), -1)
    drawn = np.where(sources < 0, 0, drawn)
    np.testing.assert_allclose(drawn, weights, atol=TOLERANCE)
    for row in sources.reshape(-1, NUM_EDGES):
        assert len(set(row[row >= 0])) == (row >= 0).sum()


def test_signatures_have_the_names_types_and_free_axes(served):
    assert set(served.signatures) == set(SIGNATURES)
    for name, (inputs, outputs) in SIGNATURES.items():
        positional, taken = served.signatures[name].structured_input_signature
        assert positional == ()
        assert set(taken) == inputs
        assert set(served.signatures[name].structured_outputs) == outputs
        for key, spec in taken.items():
            fixed = [2, NUM_WEIGHTS] if key == "weights" else []
            free = spec.shape.as_list()[: spec.shape.rank - len(fixed)]
            assert set(free) == {None}
            assert spec.shape.as_list()[len(free) :] == fixed


def test_graph_calls_no_python(exported):
    """The slow tests run it where there is no Keras, and from C."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((exported / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = [*graph.node]
    for function in graph.library.function:
        nodes += function.node_def
    kinds = {node.op for node in nodes}
    assert "MatMul" in kinds or "Einsum" in kinds
    assert not [kind for kind in kinds if "PyFunc" in kind]


def test_shapes_and_types_of_the_outputs_are_known(served):
    specs = {
        key: (spec.dtype.name, spec.shape.as_list())
        for name in ("serving_default", "mixture", "edges")
        for key, spec in served.signatures[name].structured_outputs.items()
    }
    graph = [None, NUM_LAYERS, NUM_HEADS, None]
    assert specs["tokens"] == ("string", [None, None])
    assert specs["token_offsets"] == ("int32", [None, None, 2])
    assert specs["length"] == ("int32", [None])
    for direction in ("forward", "backward"):
        assert specs[f"{direction}_graphs"] == ("float32", [*graph, None])
        assert specs[f"{direction}_mixture"] == ("float32", [None] * 3)
        sources = specs[f"{direction}_edge_sources"]
        assert sources == ("int32", [*graph, NUM_EDGES])
        weights = specs[f"{direction}_edge_weights"]
        assert weights == ("float32", [*graph, NUM_EDGES])


@pytest.mark.parametrize(
    ("batch", "length"),
    [
        (1, 1),
        pytest.param(1, MAX_LENGTH, marks=pytest.mark.slow),
        (3, 40),
        (64, 1),
        (64, 9),
        pytest.param(64, MAX_LENGTH, marks=pytest.mark.slow),
    ],
)
def test_answers_equal_the_model(predictor, tokenizer, served, batch, length):
    texts = sentences(batch, length)
    ids = ids_of(tokenizer, texts)
    weights = mixture_weights(batch)
    wanted = {
        name: keras.ops.convert_to_numpy(graph)
        for name, graph in predictor(ids, training=False).items()
    }
    for given, names in (
        ({"text": texts}, ("serving_default", "mixture", "edges")),
        (ids, ("from_ids", "mixture_from_ids", "edges_from_ids")),
        (
            with_length(ids),
            (
                "from_ids_and_length",
                "mixture_from_ids_and_length",
                "edges_from_ids_and_length",
            ),
        ),
    ):
        graphs = served(names[0], **given)
        mixture = served(names[1], **given, weights=weights)
        edges = served(names[2], **given)
        for index, direction in enumerate(("forward", "backward")):
            graph = wanted[f"{direction}_graphs"]
            np.testing.assert_allclose(
                graphs[f"{direction}_graphs"], graph, atol=TOLERANCE
            )
            np.testing.assert_allclose(
                mixture[f"{direction}_mixture"],
                mixed(graph, weights[:, index]),
                atol=TOLERANCE,
            )
            assert_edges(edges, graph, direction)


def test_one_set_of_weights_serves_all_texts(served):
    texts, weights = sentences(3, 5), mixture_weights(1)
    one = served("mixture", text=texts, weights=weights)
    each = served("mixture", text=texts, weights=np.repeat(weights, 3, 0))
    np.testing.assert_array_equal(
        one["forward_mixture"], each["forward_mixture"]
    )


@pytest.mark.parametrize(
    "texts",
    [*([text] for text in TEXTS), TEXTS, random_texts(300, seed=2)],
    ids=[*map(str, range(len(TEXTS))), "all", "random"],
)
def test_nasty_texts_are_read_as_in_training(
    predictor, tokenizer, served, texts
):
    answer = served("serving_default", text=texts)
    read = tokenizer(texts)
    for key in ("tokens", "token_offsets"):
        np.testing.assert_array_equal(answer[key], read[key])
    mask = np.asarray(read["padding_mask"])
    np.testing.assert_array_equal(answer["length"], mask.sum(1))
    wanted = predictor(ids_of(tokenizer, texts), training=False)
    for name in GRAPHS:
        np.testing.assert_allclose(answer[name], wanted[name], atol=TOLERANCE)


def test_every_word_of_the_vocabulary_has_its_id(exported):
    lines = (exported / "assets" / "vocabulary.txt").read_bytes()
    assert lines.decode("utf-8").split("\n")[:-1] == FILLED
    table = tf.saved_model.load(str(exported)).vocabulary
    ids = tf.raw_ops.LookupTableFindV2(
        table_handle=table.resource_handle,
        keys=tf.constant([*FILLED, "unheard"]),
        default_value=tf.constant(1, tf.int64),
    )
    assert ids.numpy().tolist() == [*range(len(FILLED)), 1]


def test_longer_text_is_refused_and_the_limit_is_not(served):
    limit = (
        f"at most {MAX_LENGTH} positions.*Received: {MAX_LENGTH + 1} positions"
    )
    longer = sentences(1, MAX_LENGTH + 1)
    weights = mixture_weights(1)
    for text in (longer, ["short", *longer]):
        for name in ("serving_default", "edges"):
            with pytest.raises(tf.errors.InvalidArgumentError, match=limit):
                served(name, text=text)
        with pytest.raises(tf.errors.InvalidArgumentError, match=limit):
            served("mixture", text=text, weights=weights)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Received: 5000"):
        served("serving_default", text=["word" + " ." * 4_999])


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "日 " * 50_000,
        pytest.param(b"\x80" * 100_000, id="bytes"),
    ],
)
def test_100_000_characters_are_refused(served, text):
    limit = "at most 20000 characters.*Received: 100000 characters"
    for name in ("serving_default", "edges"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=limit):
            served(name, text=["short", text])


def test_text_at_the_limit_of_characters_is_read(served):
    answer = served("edges", text=["é" * MAX_CHARACTERS])
    assert answer["token_offsets"].tolist() == [[[0, MAX_CHARACTERS]]]


def test_requests_padded_by_a_server_are_answered_by_length(served):
    """TensorFlow Serving pads each tensor with its first element."""
    ids = np.array([[2, 3, 4]], "int32")
    length = np.array([3], "int32")
    alone = served("from_ids_and_length", token_ids=ids, length=length)
    padded = np.pad(ids, [(0, 0), (0, 2)], constant_values=ids[0, 0])
    in_batch = served("from_ids_and_length", token_ids=padded, length=length)
    for name, graph in alone.items():
        np.testing.assert_allclose(
            in_batch[name][..., :3, :3], graph, atol=TOLERANCE
        )
        assert not in_batch[name][..., 3:, :].any()
        assert not in_batch[name][..., 3:].any()


@pytest.mark.parametrize("length", [[-1, 2], [2, 4], [2], [1, 2, 3]])
def test_wrong_lengths_are_refused(served, length):
    message = r"length must have one number for each row.*shape \[2 3\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        served(
            "edges_from_ids_and_length",
            token_ids=np.ones((2, 3), "int32"),
            length=np.array(length, "int32"),
        )


@pytest.mark.parametrize(
    "name",
    [
        "mixture",
        pytest.param("serving_default", marks=pytest.mark.slow),
        pytest.param("edges_from_ids_and_length", marks=pytest.mark.slow),
    ],
)
def test_endpoints_take_a_dict_as_keras_layers_call_them(
    exported, served, name
):
    given = {
        "text": tf.constant(["The cat sat.", "it"]),
        "weights": tf.constant(mixture_weights(2)),
        "token_ids": tf.constant([[2, 3], [4, 0]]),
        "length": tf.constant([2, 1]),
    }
    inputs, outputs = SIGNATURES[name]
    layer = keras.layers.TFSMLayer(str(exported), call_endpoint=name)
    taken = {key: given[key] for key in inputs}
    answer = layer(taken)
    assert set(answer) == outputs
    wanted = served(name, **taken)
    for key in outputs - {"tokens"}:
        np.testing.assert_allclose(answer[key], wanted[key])


def test_an_endpoint_is_a_layer_of_a_functional_model(exported, served):
    layer = keras.layers.TFSMLayer(str(exported), call_endpoint="from_ids")
    inputs = {
        "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
        "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
    }
    model = keras.Model(inputs, layer(inputs)["forward_graphs"])
    ids = np.array([[2, 3, 4]], "int32")
    given = {"token_ids": ids, "padding_mask": ids > 0}
    np.testing.assert_allclose(
        model.predict_on_batch(given),
        served("from_ids", **given)["forward_graphs"],
        atol=TOLERANCE,
    )


def test_no_texts_are_refused(served):
    for name in ("serving_default", "edges"):
        with pytest.raises(
            tf.errors.InvalidArgumentError,
            match=r"text must not be empty.*Received: shape \[0\]",
        ):
            served(name, text=np.array([], object))


@pytest.mark.parametrize("shape", [(2, 0), (0, 2), (0, 0)])
def test_no_ids_are_refused(served, shape):
    ids = np.ones(shape, "int32")
    message = f"token_ids must not be empty.*shape .{shape[0]} {shape[1]}."
    for name in ("from_ids", "edges_from_ids"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            served(name, token_ids=ids, padding_mask=ids > 0)


def test_weights_of_another_batch_are_refused(served):
    message = "weights must be one set.*Received: 3 sets for 2 rows"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        served("mixture", text=["a", "b"], weights=mixture_weights(3))


def test_longer_ids_are_refused(served):
    ids = np.ones((1, MAX_LENGTH + 1), "int32")
    limit = (
        f"at most {MAX_LENGTH} positions.*Received: {MAX_LENGTH + 1} positions"
    )
    for name in ("from_ids", "edges_from_ids"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=limit):
            served(name, token_ids=ids, padding_mask=ids > 0)


def test_mask_of_another_shape_is_refused(served):
    ids = np.ones((2, 5), "int32")
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"same shape. Received: shapes \[2 5\] and \[1 5\]",
    ):
        served("from_ids", token_ids=ids, padding_mask=ids[:1] > 0)


def test_folder_is_little_more_than_weights_and_vocabulary(predictor, exported):
    parameters = sum(w.value.numpy().nbytes for w in predictor.weights)
    vocabulary = (exported / "assets" / "vocabulary.txt").stat().st_size
    size = sum(f.stat().st_size for f in exported.rglob("*") if f.is_file())
    assert parameters < size - vocabulary < 1.1 * parameters


@pytest.mark.slow
def test_graphs_of_a_bfloat16_predictor_are_served_in_float32(tmp_path):
    model = small_predictor(dtype="mixed_bfloat16")
    folder = export_saved_model(model, tmp_path)
    signature = tf.saved_model.load(str(folder)).signatures["from_ids"]
    ids = np.array([[2, 3, 4]], "int32")
    answer = signature(
        token_ids=tf.constant(ids), padding_mask=tf.constant(ids > 0)
    )
    wanted = model({"token_ids": ids, "padding_mask": ids > 0}, training=False)
    for name in GRAPHS:
        assert answer[name].dtype == tf.float32
        np.testing.assert_allclose(
            answer[name], tf.cast(wanted[name], tf.float32), atol=TOLERANCE
        )


@pytest.mark.slow
def test_all_signatures_run_without_keras_this_package_and_text(
    served, tokenizer, exported, tmp_path
):
    texts = ["The cat, it wasn't tired.", "", "שלום 👍🏽"]
    given = {
        "text": np.array([text.encode() for text in texts]),
        "weights": mixture_weights(3),
        **ids_of(tokenizer, texts),
    }
    given["length"] = given["padding_mask"].sum(1, dtype="int32")
    np.savez(tmp_path / "given.npz", **given)
    code = """
    import sys
    for name in ("keras", "glomo_keras", "tensorflow_text"):
        sys.modules[name] = None
    import numpy as np
    import tensorflow as tf
    folder, given, results = sys.argv[1:]
    given = dict(np.load(given))
    for name, run in tf.saved_model.load(folder).signatures.items():
        taken = run.structured_input_signature[1]
        answer = run(**{key: tf.constant(given[key]) for key in taken})
        np.savez(f"{results}/{name}.npz", **{
            key: np.array(value.numpy().tolist()) if key == "tokens"
            else value.numpy()
            for key, value in answer.items()
        })
    """
    done = run_python(code, exported, tmp_path / "given.npz", tmp_path)
    assert done.returncode == 0, done.stderr
    for name, (inputs, outputs) in SIGNATURES.items():
        wanted = served(name, **{key: given[key] for key in inputs})
        with np.load(tmp_path / f"{name}.npz") as answer:
            assert set(answer) == outputs
            for key in outputs - {"tokens"}:
                np.testing.assert_allclose(
                    answer[key], wanted[key], atol=TOLERANCE
                )
            if "tokens" in outputs:
                assert answer["tokens"].tolist() == wanted["tokens"].tolist()


@pytest.mark.slow
def test_saved_model_cli_lists_the_signatures(exported):
    code = """
    import sys
    from tensorflow.python.tools import saved_model_cli
    sys.argv = ["saved_model_cli", "show", "--dir", sys.argv[1], "--all"]
    saved_model_cli.main()
    """
    done = run_python(code, exported)
    assert done.returncode == 0, done.stderr
    for name, (inputs, outputs) in SIGNATURES.items():
        part = done.stdout.split(f"signature_def['{name}']:")[1]
        part = part.split("signature_def[")[0]
        for key in inputs:
            assert f"inputs['{key}']" in part
        for key in outputs:
            assert f"outputs['{key}']" in part
