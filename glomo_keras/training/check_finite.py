import numpy as np


def check_finite(history):
    """Refuses a training whose loss has stopped being finite.

    Its weights are of no use, though metrics such as the accuracy, and so the
    best epoch, can still look like numbers.

    Args:
        history: `keras.callbacks.History` of the whole run.

    Raises:
        RuntimeError: If the loss of an epoch is not finite.
    """
    for epoch, loss in zip(history.epoch, history.history["loss"], strict=True):
        if not np.isfinite(loss):
            raise RuntimeError(
                f"The training diverged in epoch {epoch + 1}: its loss is not "
                "finite. Train in another folder, or overwrite this one, with "
                f"a lower learning rate. Received: loss={loss}"
            )
