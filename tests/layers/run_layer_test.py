"""What every layer has to do, in one function, and inputs for the layers."""

import inspect
import json

import keras
import numpy as np
from keras import ops

from tests.backends import JIT
from tests.backends import to_numpy

POLICIES = {  # and how far the outputs may be from those of float32
    "float32": 1e-6,
    "mixed_bfloat16": 0.1,
    "mixed_float16": 0.02,
}
ROUND_TRIP = 1e-6
UNITS = 7  # the tests' T: an axis of this size may be of any size


def run_layer_test(
    layer_class,
    kwargs,
    inputs,
    path,
    output_shape,
    num_weights,
    call_kwargs=None,
    float32_outputs=False,
):
    """Asserts what holds for every layer.

    The config round trip; build, symbolic and eager call agree with
    `compute_output_shape`; three precision policies; the `.keras` round trip
    in a functional model with axes of unknown size; nothing in it is trained
    where its config says so; one jitted fit step.

    Args:
        layer_class: class of the layer.
        kwargs: dict of constructor arguments.
        inputs: dict of numpy arrays (or dicts of them) by call argument, the
            first argument first.
        path: folder for files.
        output_shape: nested shapes expected.
        num_weights: number of weight arrays expected.
        call_kwargs: other call arguments, such as `factored=True`.
        float32_outputs: whether outputs are float32 whatever the policy.
    """
    call_kwargs = call_kwargs or {}
    keras.utils.set_random_seed(1)
    layer = layer_class(**kwargs)
    _check_config(layer, kwargs)
    outputs = layer(**inputs, **call_kwargs)
    assert _shapes(outputs) == output_shape
    assert len(layer.weights) == num_weights
    _check_build(layer, inputs)
    _check_symbolic(layer, inputs, call_kwargs, output_shape)
    for policy, tolerance in POLICIES.items():
        typed = layer.from_config({**layer.get_config(), "dtype": policy})
        dtype = "float32" if float32_outputs else typed.compute_dtype
        _check_policy(
            layer, typed, dtype, inputs, call_kwargs, outputs, tolerance
        )
    model = _functional_model(layer, inputs, call_kwargs)
    _check_file(model, inputs, path)
    _check_frozen(layer, inputs, call_kwargs)
    _check_fit(model, inputs)


def _shapes(tensors):
    return keras.tree.map_structure(lambda x: tuple(x.shape), tensors)


def _check_config(layer, kwargs):
    config = layer.get_config()
    arguments = inspect.signature(type(layer).__init__).parameters
    assert set(arguments) - {"self", "kwargs"} <= set(config)
    for name, value in kwargs.items():
        if isinstance(value, bool | int | float | str):
            assert config[name] == value, name
    text = json.dumps(config)
    assert layer.from_config(json.loads(text)).get_config() == config
    policy = keras.DTypePolicy("mixed_bfloat16")
    typed = layer.from_config({**config, "dtype": policy})
    again = layer.from_config(typed.get_config())
    assert again.dtype_policy == policy


def _check_build(layer, inputs):
    """Built from shapes alone it has the same weights."""
    again = layer.from_config(layer.get_config())
    again.build(*_shapes(inputs).values())
    assert _shapes(again.weights) == _shapes(layer.weights)


def _check_symbolic(layer, inputs, call_kwargs, output_shape):
    for shape_of in (tuple, _any_length):
        symbols = keras.tree.map_structure(
            lambda x, shape_of=shape_of: keras.KerasTensor(
                shape_of(x.shape), keras.backend.standardize_dtype(x.dtype)
            ),
            inputs,
        )
        assert _shapes(
            layer(**symbols, **call_kwargs)
        ) == keras.tree.map_shape_structure(shape_of, output_shape)
    if not call_kwargs:
        shapes = _shapes(inputs).values()
        assert layer.compute_output_shape(*shapes) == output_shape


def _any_length(shape):
    return (None, *(None if n == UNITS else n for n in shape[1:]))


def _check_policy(
    layer, typed, expected_dtype, inputs, call_kwargs, outputs, tolerance
):
    values = typed(**inputs, **call_kwargs)
    for variable in typed.weights:
        assert variable.dtype in ("float32", "uint32", "int64")
    typed.set_weights([to_numpy(w) for w in layer.weights])
    values = typed(**inputs, **call_kwargs)
    for value, expected in zip(
        keras.tree.flatten(values), keras.tree.flatten(outputs), strict=True
    ):
        dtype = keras.backend.standardize_dtype(value.dtype)
        assert dtype in (expected_dtype, "bool")
        np.testing.assert_allclose(
            to_numpy(value), to_numpy(expected), atol=tolerance
        )


def _functional_model(layer, inputs, call_kwargs):
    symbols = {
        name: keras.tree.map_structure(_input, value)
        if isinstance(value, dict)
        else _input(value, name)
        for name, value in inputs.items()
    }
    return keras.Model(symbols, layer(**symbols, **call_kwargs))


def _input(array, name=None):
    return keras.Input(
        batch_shape=_any_length(array.shape),
        dtype=keras.backend.standardize_dtype(array.dtype),
        name=name,
    )


def _check_file(model, inputs, path):
    rng = np.random.default_rng(0)  # first values alone would tell nothing
    for weight in model.trainable_weights:
        moved = 0.01 * rng.normal(size=weight.shape)
        weight.assign(to_numpy(weight) + moved)
    file = path / "model.keras"
    model.save(file)
    loaded = keras.models.load_model(file)
    flat = [keras.tree.flatten(x) for x in (loaded(inputs), model(inputs))]
    for value, expected in zip(*flat, strict=True):
        np.testing.assert_allclose(
            to_numpy(value), to_numpy(expected), atol=ROUND_TRIP
        )


def _check_frozen(layer, inputs, call_kwargs):
    """Frozen by its config, its sublayers are frozen too."""
    frozen = layer.from_config({**layer.get_config(), "trainable": False})
    model = _functional_model(frozen, inputs, call_kwargs)
    assert not model.trainable_weights
    assert len(model.weights) == len(layer.weights)


def _check_fit(model, inputs):
    total = _Total()(keras.tree.flatten(model.output))
    trained = keras.Model(model.input, total)
    trained.compile("sgd", loss="mse", jit_compile=JIT)
    targets = np.ones(len(keras.tree.flatten(inputs)[0]))
    before = [to_numpy(x) for x in model.trainable_weights]
    history = trained.fit(inputs, targets, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    after = [to_numpy(x) for x in model.trainable_weights]
    moved = [np.any(a != b) for a, b in zip(after, before, strict=True)]
    assert any(moved) or not moved


class _Total(keras.layers.Layer):
    """The sum of all numbers of a sequence, times a weight to be trained."""

    supports_masking = True

    def compute_mask(self, tensors, previous_mask):
        return None

    def build(self, shapes):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, tensors):
        sums = [
            ops.sum(ops.cast(x, "float32"), axis=tuple(range(1, len(x.shape))))
            for x in tensors
        ]
        return self.scale * sum(sums)

    def compute_output_shape(self, shapes):
        return shapes[0][:1]
