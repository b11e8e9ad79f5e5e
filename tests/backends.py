"""Tensors and gradients for the tests, in the same way on each backend."""

import keras
import numpy as np
import pytest

BACKEND = keras.backend.backend()
JIT = BACKEND != "torch"
needs_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="TensorFlow's dynamic shapes"
)


def to_numpy(nested):
    """Nested tensors -> nested float32 (or integer) numpy arrays."""

    def convert(tensor):
        if keras.backend.is_float_dtype(
            keras.backend.standardize_dtype(tensor.dtype)
        ):
            tensor = keras.ops.cast(tensor, "float32")
        return keras.ops.convert_to_numpy(tensor)

    return keras.tree.map_structure(convert, nested)


def to_tensors(nested):
    """Nested numpy arrays -> nested tensors of the backend."""
    return keras.tree.map_structure(keras.ops.convert_to_tensor, nested)


def value_and_gradients(function, arrays):
    """A scalar function of a list of arrays: its value and its gradients.

    Returns:
        `(value, gradients)` as numpy; zeros where nothing arrives.
    """
    arrays = [np.asarray(array, "float32") for array in arrays]
    value, gradients = _differentiate(function, arrays)
    gradients = [
        np.zeros_like(array) if gradient is None else to_numpy(gradient)
        for array, gradient in zip(arrays, gradients, strict=True)
    ]
    return float(to_numpy(value)), gradients


def _differentiate(function, arrays):
    if BACKEND == "tensorflow":
        import tensorflow as tf

        tensors = [tf.constant(array) for array in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        gradients = tape.gradient(value, tensors)
        return value, [
            None if g is None else tf.convert_to_tensor(g) for g in gradients
        ]
    if BACKEND == "jax":
        import jax

        return jax.jit(jax.value_and_grad(lambda tensors: function(*tensors)))(
            [jax.numpy.asarray(array) for array in arrays]
        )
    import torch

    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    value = function(*tensors)
    gradients = torch.autograd.grad(value, tensors, allow_unused=True)
    return value.detach(), gradients


def weight_gradients(model, function):
    """Gradients of `function()` for the model's trainable variables.

    Returns:
        Dict of numpy arrays by variable path; zeros where nothing arrives.
    """
    variables = model.trainable_variables
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = function()
        gradients = tape.gradient(value, [v.value for v in variables])
        gradients = [
            None if g is None else tf.convert_to_tensor(g) for g in gradients
        ]
    elif BACKEND == "jax":
        import jax

        def of_values(values):
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function()

        gradients = jax.jit(jax.grad(of_values))([v.value for v in variables])
    else:
        import torch

        gradients = torch.autograd.grad(
            function(), [v.value for v in variables], allow_unused=True
        )
    return {
        v.path: np.zeros(v.shape, "float32") if g is None else to_numpy(g)
        for v, g in zip(variables, gradients, strict=True)
    }
