import functools
import inspect

import keras
from keras import ops

from glomo_keras.models.glomo_model import GlomoModel
from glomo_keras.ops.cross_entropy import tied_cross_entropy
from glomo_keras.ops.cross_entropy import tied_cross_entropy_value


class SelfScoringModel(GlomoModel):
    """Base class for models that compute their own loss.

    `call` returns a dict of scalars: `loss`, and for each direction the mean
    over what is predicted, such as `forward_loss`, and the number of
    predictions, `forward_count`. With replicas, each of them counts the same.
    Such a model is compiled with an optimizer only and fitted on a dataset of
    input dicts. A subclass makes `trackers`, a dict of metrics by the entry
    that they are updated with, and sets `input_names` and `directions`.
    Batches are weighted by the number of their predictions, so that in
    `evaluate` the perplexities do not depend on the size of batches. `loss`,
    the mean of both directions, does not either if each batch has the same
    number of predictions in both. Training minimises the losses of
    regularizers too, which the reported `loss` leaves out.

    Args:
        num_positions: Integer, positions per batch and direction at which
            training takes the loss, or None for all.
        seed: Integer seed of what is drawn in training.
        dtype: Dtype policy.
        name: String.
    """

    def __init__(self, num_positions, seed, dtype, name):
        super().__init__(dtype=dtype, name=name)
        self.num_positions = num_positions
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._scaled_loss = _ComputedLoss(name="loss", dtype="float32")
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def __call__(self, inputs, *args, **kwargs):
        given = sorted(inputs) if isinstance(inputs, dict) else type(inputs)
        if not isinstance(inputs, dict) or set(self.input_names) - set(inputs):
            raise ValueError(
                f"A {type(self).__name__} takes a dict of "
                f"{', '.join(self.input_names)}. Received: {given}"
            )
        return super().__call__(inputs, *args, **kwargs)

    @property
    def metrics(self):
        # Without Keras' own tracker of the loss, which weighs rows of batches.
        return [x for x in super().metrics if x is not self._loss_tracker]

    def objective(self, outputs):
        """Returns the loss that training minimises."""
        return outputs["loss"]

    def draw_positions(self, count, training):
        """Draws `num_positions` integers below `count`, with replacement.

        Args:
            count: Integer or integer scalar.
            training: Boolean.

        Returns:
            Integer tensor `(N,)`, or None for all positions: in evaluation,
            or if `num_positions` is None.
        """
        if not training or self.num_positions is None:
            return None
        drawn = keras.random.uniform(
            (self.num_positions,), dtype="float32", seed=self.seed_generator
        ) * ops.cast(count, "float32")
        return ops.minimum(ops.cast(drawn, "int32"), count - 1)

    def cross_entropy(self, training):
        """Returns the function of the tied softmax's loss.

        Args:
            training: Boolean; in training its sum is estimated from
                `num_candidates` words, if that is not None.
        """
        if not training:
            return tied_cross_entropy_value
        return functools.partial(
            tied_cross_entropy,
            num_candidates=self.num_candidates,
            seed=self.seed_generator,
        )

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        self._check_unweighted(super().fit, args, kwargs)
        return super().fit(*args, **kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):
        self._check_unweighted(super().evaluate, args, kwargs)
        return super().evaluate(*args, **kwargs)

    def _check_unweighted(self, method, args, kwargs):
        # Keras drops weights where there are no targets.
        given = inspect.signature(method).bind(*args, **kwargs).arguments
        for name in ("sample_weight", "class_weight"):
            if given.get(name) is not None:
                raise ValueError(
                    f"{type(self).__name__} weighs all predictions equally: "
                    f"leave out `{name}`. Received: {name} of type "
                    f"{type(given[name]).__name__}"
                )

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if y is not None or sample_weight is not None:
            raise ValueError(
                f"{type(self).__name__} computes its own loss: train it on "
                "input dicts, without targets and sample weights. "
                f"Received: y={y}, sample_weight={sample_weight}"
            )
        objective = self.objective(y_pred)
        loss = self._scaled_loss(objective, objective)
        for each in self.losses:  # regularizers
            loss = loss + self._aggregate_additional_loss(each)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        counts = {f"{x}_loss": y_pred[f"{x}_count"] for x in self.directions}
        mean_count = sum(counts.values()) / len(counts)
        self.loss_tracker.update_state(self.objective(y_pred), mean_count)
        for name, tracker in self.trackers.items():
            tracker.update_state(y_pred[name], counts.get(name, mean_count))
        return self.get_metrics_result()


class _ComputedLoss(keras.losses.Loss):
    """Passes on a loss that the model has already computed.

    Keras divides what a `Loss` returns by the number of replicas, whose
    gradients it adds.
    """

    def call(self, y_true, y_pred):
        return ops.reshape(y_pred, (1,))
