"""Measures how much frozen graphs help freshly initialised features."""

import keras
import numpy as np

from glomo_keras.models import TransferProbe
from glomo_keras.training.warmup_cosine import warmup_cosine

BATCH_SIZE = 32
"""Windows of a step, where training data are arrays."""


def transfer_perplexity(
    graphs,
    train,
    held_out,
    vocabulary_size,
    transfer=None,
    steps=500,
    learning_rate=4e-3,
    seed=0,
    verbose=0,
    **options,
):
    """Trains a `TransferProbe` and returns its perplexity on held-out text.

    Calls with the same seed and data start from the same fresh weights and
    see the same batches, positions and candidates, whatever the graphs:
    compare them pair by pair. This also sets the global seeds of Python,
    NumPy and the backend.

    Args:
        graphs: Source of graphs, or None; see `TransferProbe`. Create a
            new one for each call if it is trainable (`DistanceDecayGraph`).
        train: Dataset of dicts of `token_ids` and `padding_mask` that repeats
            or has at least `steps` batches; or one dict of arrays `(W, T)`:
            each step takes the next 32 windows and starts over after the
            last.
        held_out: Dataset of such dicts, or one dict of arrays `(W, T)`.
        vocabulary_size: Integer V.
        transfer: Layer, see `TransferProbe`. Defaults to `None`.
        steps: Integer, steps of Adam. The rate rises during a tenth of them
            and falls to 0 by a cosine. Defaults to `500`.
        learning_rate: Float, the highest. Defaults to `4e-3`.
        seed: Integer. Defaults to `0`.
        verbose: As in `keras.Model.fit`. Defaults to `0`.
        **options: Other arguments of `TransferProbe`.

    Returns:
        Dict of `forward_perplexity` and `backward_perplexity` (or one of
        them), the mean over the D words predicted at each position, and of
        `loss`, in nats.

    Raises:
        ValueError: See `TransferProbe`.

    Example:

    ```python
    predictor = gk.GraphPredictor.from_preset("glomo_small_en")
    source = gk.models.PredictedGraphs(predictor)
    gk.training.transfer_perplexity(
        source, train, held_out, predictor.vocabulary_size)
    ```
    """
    (metrics,) = transfer_perplexities(
        graphs,
        lambda seed: train,
        held_out,
        vocabulary_size,
        transfer,
        steps,
        learning_rate,
        [seed],
        verbose,
        **options,
    )
    return metrics


def transfer_perplexities(
    graphs,
    make_train,
    held_out,
    vocabulary_size,
    transfer=None,
    steps=500,
    learning_rate=4e-3,
    seeds=(0, 1, 2),
    verbose=0,
    **options,
):
    """Yields what `transfer_perplexity` returns, for one seed after another.

    The numbers are the same, but the training step is traced only once.

    Args:
        make_train: Function of the seed that returns the training dataset.
        seeds: Sequence of integers.
        graphs, held_out, vocabulary_size, transfer, steps, learning_rate,
            verbose, **options: See `transfer_perplexity`. The weights of
            `graphs` and `vectors` start from their present values for each
            seed.
    """
    probe = None
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        fresh = TransferProbe(
            vocabulary_size, graphs, transfer, seed=seed, **options
        )
        if probe is None:
            probe = fresh
            own = _values(graphs) | _values(options.get("vectors"))
            rate = warmup_cosine(learning_rate, steps, steps // 10, first=0.0)
            probe.compile(
                keras.optimizers.Adam(rate, global_clipnorm=1.0),
                jit_compile=keras.backend.backend() == "jax",
            )
        else:
            for ours, new in zip(probe.variables, fresh.variables, strict=True):
                # A copy: on JAX, `fit` uses up the arrays of a model.
                value = own.get(id(ours), keras.ops.convert_to_numpy(new))
                ours.assign(value.copy())
            # JAX 0.10 has no `zeros_like` of a variable.
            for variable in probe.optimizer.variables:
                variable.assign(keras.ops.zeros(variable.shape, variable.dtype))
            if isinstance(probe.optimizer, keras.optimizers.LossScaleOptimizer):
                scale = probe.optimizer.initial_scale
                probe.optimizer.dynamic_scale.assign(scale)
        train, batches = make_train(seed), {"steps_per_epoch": steps}
        if isinstance(train, dict):  # Keras would cut it into `steps` batches
            train, batches = _repeated(train, steps), {"batch_size": BATCH_SIZE}
        probe.fit(train, shuffle=False, verbose=verbose, **batches)
        yield probe.evaluate(held_out, return_dict=True, verbose=verbose)


def _repeated(arrays, steps):
    """Returns the rows of `steps` batches, from the first again and again."""
    rows = np.arange(steps * BATCH_SIZE)
    arrays = {name: np.asarray(values) for name, values in arrays.items()}
    return {name: x[rows % len(x)] for name, x in arrays.items()}


def _values(layer):
    """Returns the values of the variables, by the identity of each."""
    if layer is None:
        return {}
    to_numpy = keras.ops.convert_to_numpy
    return {id(each): to_numpy(each).copy() for each in layer.variables}
