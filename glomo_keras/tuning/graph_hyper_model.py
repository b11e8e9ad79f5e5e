import keras_tuner
import numpy as np

from glomo_keras.tuning.spaces import context_space
from glomo_keras.tuning.spaces import mixture_space
from glomo_keras.utils.validation import check_option

SPACES = ("mixture", "context", "all")


class GraphHyperModel(keras_tuner.HyperModel):
    """Makes models of a task that differ in how they use graphs.

    A trial whose loss, in training or validation, stops being finite counts
    as failed.

    Args:
        make_model: Function of the values of a trial, a dict, that returns a
            compiled model. `mixture_space` and `context_space` list the
            values.
        train: Function of `(values, model, **kwargs)` that returns the
            history of `fit`. KerasTuner's callbacks are among the arguments.
            Defaults to `model.fit(**kwargs)`.
        space: `"mixture"`, `"context"`, or `"all"` for both. Defaults to
            `"mixture"`.
        num_graph_layers: Number of graph layers of the predictor. Needed for
            the space "mixture". Defaults to `None`.
        context_lengths: Sequence of ints. Needed for the space "context".
            Defaults to `()`.
        learning_rate: The middle of those tried. Needed for the space
            "context". Defaults to `None`.

    Raises:
        ValueError: If an argument is out of its range or missing.

    Example:

    >>> import keras, keras_tuner, glomo_keras as gk
    >>> predictor = gk.GraphPredictor(vocabulary_size=9, embedding_dim=8,
    ...     num_heads=2, key_dim=4, num_graph_layers=2)
    >>> def make_model(values):
    ...     model = gk.models.TextClassifier(
    ...         {"word_ids": keras.layers.Embedding(9, 4)},
    ...         graphs=gk.models.PredictedGraphs(
    ...             predictor, values["graph_layers"]),
    ...         transfer=gk.layers.GraphTransfer(
    ...             values["num_mixtures"], values["conditioned"],
    ...             values["include_products"], values["units"]),
    ...         placement=values["placement"])
    ...     model.compile("adam", "mse")
    ...     return model
    >>> hypermodel = GraphHyperModel(make_model, num_graph_layers=2)
    >>> hp = keras_tuner.HyperParameters()
    >>> type(hypermodel.build(hp)).__name__
    'TextClassifier'
    >>> hp.values["graph_layers"]
    '1-2'
    """

    def __init__(
        self,
        make_model,
        train=None,
        space="mixture",
        num_graph_layers=None,
        context_lengths=(),
        learning_rate=None,
    ):
        super().__init__(name="graphs")
        check_option("space", space, SPACES)
        if space != "context" and (num_graph_layers or 0) < 1:
            raise ValueError(
                "A search over mixtures needs the predictor's number of graph "
                f"layers. Received: num_graph_layers={num_graph_layers}"
            )
        if space != "mixture" and not (context_lengths and learning_rate):
            raise ValueError(
                "A search over contexts needs context lengths and a learning "
                f"rate. Received: context_lengths={context_lengths}, "
                f"learning_rate={learning_rate}"
            )
        self.make_model = make_model
        self.train = train
        self.space = space
        self.num_graph_layers = num_graph_layers
        self.context_lengths = tuple(context_lengths)
        self.learning_rate = learning_rate

    def values(self, hp):
        """Declares the space on `hp` and returns the values of a trial.

        Args:
            hp: `keras_tuner.HyperParameters`.

        Returns:
            Dict, see `mixture_space` and `context_space`.
        """
        values = {}
        if self.space != "context":
            values |= mixture_space(hp, self.num_graph_layers)
        if self.space != "mixture":
            values |= context_space(
                hp, self.context_lengths, self.learning_rate
            )
        return values

    def declare_hyperparameters(self, hp):
        self.values(hp)

    def build(self, hp):
        return self.make_model(self.values(hp))

    def fit(self, hp, model, *args, **kwargs):
        if self.train is None:
            history = model.fit(*args, **kwargs)
        else:
            history = self.train(self.values(hp), model, *args, **kwargs)
        # After a single step only the validation shows that it diverged.
        for name in ("loss", "val_loss"):
            losses = history.history.get(name, [])
            if not np.isfinite(losses).all():
                raise keras_tuner.errors.FailedTrialError(
                    f"`{name}` is not finite after {len(losses)} epoch(s). "
                    f"Received: values={self.values(hp)}"
                )
        return history
