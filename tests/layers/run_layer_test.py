"""What every layer has to do, in one function, and inputs for the layers."""

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
):
    """Asserts what holds for every layer.

    The config round trip; build, symbolic and eager call agree with
    `compute_output_shape`; three precision policies; the `.keras` round trip
    in a functional model with axes of unknown size; one jitted fit step.

    Args:
        layer_class: class of the layer.
        kwargs: dict of constructor arguments.
        inputs: dict of numpy arrays (or dicts of them) by call argument, the
            first argument first.
        path: folder for files.
        output_shape: nested shapes expected.
        num_weights: number of weight arrays expected.
        call_kwargs: other call arguments, such as `factored=True`.
    """
    call_kwargs = call_kwargs or {}
    keras.utils.set_random_seed(1)
    layer = layer_class(**kwargs)
    _check_config(layer)
    outputs = layer(**inputs, **call_kwargs)
    assert _shapes(outputs) == output_shape
    assert len(layer.weights) == num_weights
    _check_build(layer, inputs, call_kwargs)
    _check_symbolic(layer, inputs, call_kwargs, output_shape)
    for policy, tolerance in POLICIES.items():
        _check_policy(layer, policy, inputs, call_kwargs, outputs, tolerance)
    model = _functional_model(layer, inputs, call_kwargs)
    _check_file(model, inputs, outputs, path)
    _check_fit(model, inputs)


def _shapes(tensors):
    return keras.tree.map_structure(lambda x: tuple(x.shape), tensors)


def _check_config(layer):
    config = layer.get_config()
    text = json.dumps(config)
    assert layer.from_config(json.loads(text)).get_config() == config


def _check_build(layer, inputs, call_kwargs):
    """Built from shapes alone it has the same weights."""
    again = layer.from_config(layer.get_config())
    if not call_kwargs:
        shapes = {f"{k}_shape": v for k, v in _shapes(inputs).items()}
        wanted = layer.build.__code__.co_varnames
        again.build(**{k: v for k, v in shapes.items() if k in wanted})
    else:
        again(**inputs, **call_kwargs)
    assert _shapes(again.weights) == _shapes(layer.weights)


def _check_symbolic(layer, inputs, call_kwargs, output_shape):
    known = _symbols(inputs, lambda shape: shape)
    assert _shapes(layer(**known, **call_kwargs)) == output_shape
    unknown = layer(**_symbols(inputs, _any_length), **call_kwargs)
    assert _shapes(unknown) == keras.tree.map_shape_structure(
        _any_length, output_shape
    )


def _any_length(shape):
    return (None, *(None if n == UNITS else n for n in shape[1:]))


def _symbols(inputs, shape_of, names=None):
    return keras.tree.map_structure(
        lambda x: keras.KerasTensor(
            shape_of(x.shape), keras.backend.standardize_dtype(x.dtype)
        ),
        inputs,
    )


def _check_policy(layer, policy, inputs, call_kwargs, outputs, tolerance):
    typed = layer.from_config({**layer.get_config(), "dtype": policy})
    values = typed(**inputs, **call_kwargs)
    for variable in typed.weights:
        assert variable.dtype in ("float32", "uint32", "int64")
    typed.set_weights([to_numpy(w) for w in layer.weights])
    values = typed(**inputs, **call_kwargs)
    for value, expected in zip(
        keras.tree.flatten(values), keras.tree.flatten(outputs), strict=True
    ):
        dtype = keras.backend.standardize_dtype(value.dtype)
        assert dtype in (typed.compute_dtype, "bool")
        np.testing.assert_allclose(
            to_numpy(value), to_numpy(expected), atol=tolerance
        )


def _functional_model(layer, inputs, call_kwargs):
    symbols = keras.tree.map_structure_up_to(
        inputs,
        lambda x: keras.Input(
            batch_shape=_any_length(x.shape),
            dtype=keras.backend.standardize_dtype(x.dtype),
        ),
        inputs,
    )
    outputs = layer(**symbols, **call_kwargs)
    return keras.Model(symbols, outputs)


def _check_file(model, inputs, outputs, path):
    file = path / "model.keras"
    model.save(file)
    loaded = keras.models.load_model(file)
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(
            to_numpy(a), to_numpy(b), atol=ROUND_TRIP
        ),
        loaded(inputs),
        outputs,
    )


def _check_fit(model, inputs):
    flat = [ops.cast(x, "float32") for x in keras.tree.flatten(model.output)]
    total = keras.layers.Add()(
        [ops.sum(ops.reshape(x, (ops.shape(x)[0], -1)), -1) for x in flat]
        + [
            ops.zeros_like(flat[0], dtype="float32")[
                (..., *[0] * (len(flat[0].shape) - 1))
            ]
        ]
    )
    trained = keras.Model(model.input, total)
    trained.compile("sgd", loss="mse", jit_compile=JIT)
    count = len(keras.tree.flatten(inputs)[0])
    history = trained.fit(inputs, np.ones(count), verbose=0)
    assert np.isfinite(history.history["loss"][0])
