"""A pretraining by one process or several: `python -m ... FOLDER SIZE`.

KILL=INDEX:BATCH kills a process of the job at one of its batches.
"""

import os
import pathlib
import sys

import keras
import numpy as np

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import training
from tests.training.small_run import AtBatch
from tests.training.small_run import kill_now

WORDS, BATCH, LENGTH = 12, 4, 10
SIZES = {
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 3,
    "num_conv_layers": 1,
    "num_graph_layers": 1,
}


def stream():
    """Texts of 4 words; the last batch of evaluation is mostly padding."""
    ids = np.random.default_rng(0).integers(2, WORDS, BATCH * LENGTH + 3)
    starts = np.arange(0, len(ids) - 3, 4)
    lengths = np.full(len(starts), 4)
    lengths[-1] += 3
    return data.TokenStream(ids.astype("int32"), starts, lengths)


def build():
    """A pretrainer whose every draw, sum and mean is over the batch."""
    keras.utils.set_random_seed(0)
    model = gk.ContextPretrainer(
        gk.GraphPredictor(WORDS, dropout=0.25, **SIZES),
        context_length=2,
        num_decoder_layers=1,
        num_positions=3,
        num_candidates=4,
        empty_row_weight=1.0,
        scale_embedding_gradient=True,
        seed=0,
    )
    # Gradients longer than the norm: they are clipped at every step. The bias
    # in front of a batch normalization has none but rounding, which Adam
    # with its usual `epsilon` would make steps of.
    model.compile(
        keras.optimizers.Adam(0.02, epsilon=1e-3, global_clipnorm=0.05)
    )
    return model


def train(folder, size=1, epochs=3, minutes=None):
    """Trains in `folder`, as one of `size` processes."""
    job = training.current_job()
    assert job.size == size
    model = build()
    batches, held_out = (
        data.BatchPart(each, job.index, job.size)
        for each in (
            data.WindowSampler(stream(), BATCH, 2 * LENGTH),
            data.EvaluationWindows(stream(), BATCH, LENGTH),
        )
    )
    killed, _, batch = os.environ.get("KILL", "").partition(":")
    kill = killed == str(job.index) and size > 1
    training.fit_resumable(
        model,
        lambda step: data.as_dataset(batches, step),
        epochs=epochs,
        steps_per_epoch=3,
        run_folder=training.RunFolder(folder),
        callbacks=[
            keras.callbacks.EarlyStopping(restore_best_weights=True),
            *([AtBatch(int(batch), kill_now)] if kill else []),
        ],
        validation_data=data.as_dataset(held_out),
        verbose=0,
    )
    return job.index


def main(folder, size):
    folder, size = pathlib.Path(folder), int(size)
    if size > 1:
        assert training.run_processes(train, (folder, size), size) == 0
    else:
        train(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
