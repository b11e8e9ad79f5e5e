"""A learning rate that rises linearly and falls by half a cosine."""

import keras


def warmup_cosine(learning_rate, steps, warmup_steps, first, alpha=0.0):
    """Returns a schedule that rises linearly and falls by half a cosine.

    Args:
        learning_rate: Float, the highest.
        steps: Integer, of rise and fall together.
        warmup_steps: Integer, of the rise.
        first: Float, the learning rate from which it rises.
        alpha: Float, the last learning rate as a share of the highest.
            Defaults to `0.0`.
    """
    return keras.optimizers.schedules.CosineDecay(
        first,
        decay_steps=steps - warmup_steps,
        alpha=alpha,
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )
