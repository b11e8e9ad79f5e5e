"""Resumes training after a kill, as the same run."""

import keras

from glomo_keras.training import callback_state
from glomo_keras.training.checkpoint_store import CheckpointStore
from glomo_keras.training.history import write_history


class ResumeTraining(keras.callbacks.Callback):
    """Saves the whole state of a training at the end of each epoch.

    The state is every variable of the model (weights, statistics of
    normalization, and the seed generators, which `save_weights` leaves out)
    and of its optimizer (slots, step, learning rate, loss scale, averages),
    the logs of all epochs so far, whether the training was stopped, and what
    the other callbacks remember (see `callback_states`). Draws from Keras'
    global generator, of Python or of numpy are not part of it: data have to
    follow from the step alone. Nor are those of PyTorch's global generator,
    which on that backend `Dropout` uses unless it is given a seed.

    The callback goes last in the list given to `fit`, so that the others have
    decided before it saves and are reset before it gives them their state.
    `fit_resumable` does all of this.

    Args:
        checkpoint_dir: Folder for the checkpoints.
        callbacks: The other callbacks given to `fit`. Defaults to none.
        history_path: Where to keep the logs of all epochs as CSV. Defaults to
            `None`, nowhere.
        keep: Integer, how many checkpoints stay on disk. Defaults to `2`.
        write: Boolean, whether this process writes; of several that train
            together, one does. Defaults to `True`.

    Attributes:
        rows: List of dicts, the logs of each epoch done, with its number.
        stopped: True when a callback has ended the training.
        steps_per_epoch: Integer, the steps of the restored epochs, or None.
    """

    def __init__(
        self,
        checkpoint_dir,
        callbacks=(),
        history_path=None,
        keep=2,
        write=True,
    ):
        super().__init__()
        self.write = write
        self.store = CheckpointStore(checkpoint_dir, keep=keep)
        self.callbacks = list(callbacks)
        self.history_path = history_path
        self.rows = []
        self.stopped = False
        self.steps_per_epoch = None
        self._restored_callbacks = ({}, {})

    def restore(self, model):
        """Gives a built and compiled model the newest saved state.

        Args:
            model: The Keras model that will be trained.

        Returns:
            Integer, the number of epochs done: `initial_epoch` of `fit`.
        """
        _check_ready(model)
        checkpoint = self.store.load()
        if checkpoint is None:
            return 0
        arrays, state = checkpoint
        model.optimizer.build(model.trainable_variables)
        _assign("model", model.variables, arrays)
        _assign("optimizer", model.optimizer.variables, arrays)
        self.rows, self.stopped = state["rows"], state["stopped"]
        self.steps_per_epoch = state.get("steps_per_epoch")
        self._restored_callbacks = (state["callbacks"], arrays)
        self._write_history()
        return state["epochs_done"]

    def on_train_begin(self, logs=None):
        callback_state.set_callback_states(
            self.callbacks, *self._restored_callbacks
        )
        self._restored_callbacks = ({}, {})

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch, **_floats(logs or {})})
        self.stopped = bool(self.model.stop_training)
        if not self.write:
            return
        states, arrays = callback_state.callback_states(self.callbacks)
        state = {
            "epochs_done": epoch + 1,
            "stopped": self.stopped,
            "steps_per_epoch": (self.params or {}).get("steps"),
            "rows": self.rows,
            "callbacks": states,
        }
        arrays |= _numpy_arrays("model", self.model.variables)
        arrays |= _numpy_arrays("optimizer", self.model.optimizer.variables)
        self.store.save(epoch + 1, arrays, state)
        self._write_history()

    def _write_history(self):
        # Always from the rows of the checkpoint: no row is lost or doubled.
        if self.history_path is not None and self.write:
            write_history(self.history_path, self.rows)


def _check_ready(model):
    if not model.built or model.optimizer is None:
        raise ValueError(
            "The model must be built (call it on a batch, or `build` it) and "
            "compiled before its state is restored. Received: "
            f"model={model.name}, built={model.built}, "
            f"optimizer={model.optimizer}"
        )


def _floats(logs):
    return {name: float(value) for name, value in logs.items()}


def _numpy_arrays(prefix, variables):
    # By way of a tensor: numpy 2 warns about the `__array__` of variables.
    tensors = [keras.ops.convert_to_tensor(v.value) for v in variables]
    values = [keras.ops.convert_to_numpy(t) for t in tensors]
    return callback_state.number_arrays(prefix, values)


def _assign(prefix, variables, arrays):
    saved = [arrays[n] for n in sorted(arrays) if n.startswith(prefix + "/")]
    shapes = [tuple(value.shape) for value in saved]
    wanted = [tuple(variable.shape) for variable in variables]
    if shapes != wanted:
        raise ValueError(
            f"The checkpoint was written by another {prefix}: its variables "
            f"have other shapes. Received: saved={shapes}, now={wanted}"
        )
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
