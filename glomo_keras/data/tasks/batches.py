"""Batches for the backends that do without TensorFlow."""

import keras


class Batches(keras.utils.PyDataset):
    """Windows or examples as what `fit` takes on every backend.

    On a GPU Keras hands a batch to the device while the one before it is
    computed; a batch takes a fraction of a millisecond to cut, so no worker
    is needed.

    Args:
        windows: `WindowSampler` or `BucketedBatches` (endless),
            `EvaluationWindows` or `EvaluationBatches` (finite).
        start_step: int, the first step: a resumed run goes on there.
        num_steps: int or None: to the end, if there is one.
    """

    def __init__(self, windows, start_step=0, num_steps=None):
        super().__init__()
        self.windows = windows
        self.start_step = start_step
        self.num_steps = num_steps

    @property
    def num_batches(self):
        if not hasattr(self.windows, "__len__"):
            return self.num_steps
        left = max(len(self.windows) - self.start_step, 0)
        return left if self.num_steps is None else min(left, self.num_steps)

    def __getitem__(self, index):
        batch = self.windows.batch(self.start_step + index)
        return batch if isinstance(batch, tuple) else (batch,)
