"""Saves what a callback remembers from one epoch to the next."""

import keras
import numpy as np

# The attributes that decide what these callbacks do next. `fit` resets most
# of them at its start, and Keras 3.15 saves none.
_ATTRIBUTES = {
    keras.callbacks.EarlyStopping: (
        "best",
        "best_epoch",
        "wait",
        "stopped_epoch",
    ),
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: (
        "best",
        "_last_batch_seen",
        "_batches_seen_since_last_saving",
    ),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    keras.callbacks.TensorBoard: ("_global_train_batch", "_global_test_batch"),
}


def callback_states(callbacks):
    """Returns the state of callbacks, ready for JSON, and their weights.

    Known are Keras' `EarlyStopping`, `ReduceLROnPlateau`, `ModelCheckpoint`,
    `SwapEMAWeights` and `TensorBoard`. Any other callback names what has to
    be kept in an attribute `resume_attributes`, a tuple of names of
    attributes that JSON can hold.

    Args:
        callbacks: List of Keras callbacks.

    Returns:
        `(states, arrays)`: a dict of dicts with one key per callback, and a
        dict of arrays, the `best_weights` of `EarlyStopping`.
    """
    states, arrays = {}, {}
    for key, callback in _named(callbacks):
        names = _attribute_names(callback)
        states[key] = {n: _plain(getattr(callback, n)) for n in names}
        weights = getattr(callback, "best_weights", None)
        if weights is not None:
            states[key]["best_weights"] = len(weights)
            arrays.update(number_arrays(f"{key}/best_weights", weights))
    return states, arrays


def set_callback_states(callbacks, states, arrays):
    """Gives callbacks the state that `callback_states` returned.

    A callback is recognised by its class and its rank among those of the
    same class. One that was not there before keeps the state it has.
    """
    for key, callback in _named(callbacks):
        state = dict(states.get(key, {}))
        count = state.pop("best_weights", None)
        if count is not None:
            callback.best_weights = numbered_arrays(
                f"{key}/best_weights", arrays, count
            )
        for name, value in state.items():
            setattr(callback, name, value)


def number_arrays(prefix, values):
    """Returns a dict `{"PREFIX/00000": values[0], ...}`."""
    return {f"{prefix}/{i:05d}": value for i, value in enumerate(values)}


def numbered_arrays(prefix, arrays, count):
    """Returns the list that `number_arrays` was given."""
    return [arrays[f"{prefix}/{i:05d}"] for i in range(count)]


def _named(callbacks):
    seen = {}
    for callback in callbacks:
        name = type(callback).__name__
        seen[name] = seen.get(name, 0) + 1
        yield f"{name}-{seen[name]}", callback


def _attribute_names(callback):
    names = tuple(getattr(callback, "resume_attributes", ()))
    for cls, attributes in _ATTRIBUTES.items():
        if isinstance(callback, cls):
            names += attributes
    return names


def _plain(value):
    is_scalar = isinstance(value, (np.generic, np.ndarray))
    return value.item() if is_scalar else value
