import keras

from glomo_keras.layers import GraphTransfer
from glomo_keras.layers import UniformGraph
from glomo_keras.models._frozen_graphs import _FrozenGraphs
from glomo_keras.models._layers_first_model import with_dtype_policy
from glomo_keras.utils import validation as check

MODES = ("none", "glomo", "glomo-rnn", "uniform", "random", "matched")
PREDICTED = ("glomo", "glomo-rnn", "random")


@keras.saving.register_keras_serializable(package="glomo_keras")
class TaskGraphs:
    """What the graphs do in a model of a task: one of six modes.

    | mode | graphs | multiplied with |
    |---|---|---|
    | `none` | none: the baseline | |
    | `glomo` | of the predictor | embeddings |
    | `glomo-rnn` | of the predictor | states of the first RNN |
    | `uniform` | `UniformGraph` | embeddings |
    | `random` | of an untrained predictor, as configured | embeddings |
    | `matched` | none; whoever builds the model widens it | |

    The predictor is frozen and runs in inference mode. One `GraphTransfer`
    serves all texts of a model, so a pair of texts shares its weights.

    A model asks three things of it, and `none` answers each with what it was
    given:

    ```python
    graphs = task_graphs.graphs_of(inputs, "premise")
    embedded = task_graphs.on_embeddings(embedded, graphs, mask)
    states = task_graphs.on_states(rnn(embedded), graphs, mask)
    ```

    Args:
        mode: string, see above.
        predictor: `GraphPredictor`; required by `glomo`, `glomo-rnn`,
            `random`. It is frozen.
        num_mixtures, conditioned, include_products, units, dropout, seed,
            max_length: of `GraphTransfer`.
        graph_layers: sequence of the numbers of the predictor's graph layers
            that are used, from 1; None for all.
        uniform_edges: of `UniformGraph`, for `uniform`.
        dtype: dtype policy of what is trained.

    Raises:
        ValueError: an argument out of its range, or a predictor that is
            missing.

    Example:

    >>> import keras, glomo_keras as gk
    >>> graphs = gk.models.TaskGraphs("uniform")
    >>> mask = keras.ops.ones((1, 3), "bool")
    >>> embedded = keras.ops.ones((1, 3, 4))
    >>> tuple(graphs.on_embeddings(
    ...     embedded, graphs.graphs_of({"padding_mask": mask}), mask).shape)
    (1, 3, 8)

    Reference:
        Yang et al. 2018, Sec. 3.2.
    """

    def __init__(
        self,
        mode="none",
        predictor=None,
        num_mixtures=1,
        conditioned=False,
        include_products=True,
        graph_layers=None,
        uniform_edges="one_sided",
        units=None,
        dropout=0.0,
        seed=None,
        max_length=None,
        dtype=None,
    ):
        check.check_option("mode", mode, MODES)
        self.mode = mode
        self.predictor = predictor if mode in PREDICTED else None
        self.num_mixtures = num_mixtures
        self.conditioned = conditioned
        self.include_products = include_products
        self.graph_layers = tuple(graph_layers or ()) or None
        self.uniform_edges = uniform_edges
        self.units = units
        self.dropout = dropout
        self.seed = seed
        self.max_length = max_length
        self.policy = dtype = keras.dtype_policies.get(dtype)
        self._check_predictor()
        self.source = self._make_source()
        self.transfer = None
        if self.source is not None:
            self.transfer = GraphTransfer(
                num_mixtures=num_mixtures,
                conditioned=conditioned,
                include_products=include_products,
                units=units,
                dropout=dropout,
                activation=getattr(
                    self.predictor, "activation", "squared_relu"
                ),
                seed=seed,
                max_length=max_length,
                dtype=dtype,
                name="graph_transfer",
            )
        self.transferred = []

    def _check_predictor(self):
        if self.mode not in PREDICTED:
            return
        if self.predictor is None:
            raise ValueError(
                f"Mode {self.mode!r} needs a GraphPredictor. "
                "Received: predictor=None"
            )
        layers = self.predictor.num_graph_layers
        chosen = self.graph_layers
        if chosen and not set(chosen) <= set(range(1, layers + 1)):
            raise ValueError(
                f"The predictor has the graph layers 1 to {layers}. "
                f"Received: graph_layers={chosen}"
            )

    def _make_source(self):
        if self.mode == "uniform":
            return UniformGraph(
                self.uniform_edges, dtype=self.policy, name="uniform_graph"
            )
        if self.predictor is None:
            return None
        if self.mode == "random":
            self.predictor = untrained(self.predictor)
        return _FrozenGraphs(
            self.predictor, self.graph_layers, name="frozen_graphs"
        )

    @property
    def input_names(self):
        """Names of the inputs of a text that the graphs are made from."""
        names = ("token_ids",) if self.predictor is not None else ()
        return (*names, "padding_mask")

    def own_inputs(self, prefix=""):
        """Keras inputs of a text beside those named in `input_names`."""
        return {}

    def graphs_of(self, inputs, prefix=""):
        """The graphs of a text.

        Args:
            inputs: dict of the model's inputs, `padding_mask` and, for the
                modes with a predictor, `token_ids`, each `(B, T)`, their
                names beginning with the prefix.
            prefix: string, as `"premise"`.

        Returns:
            Dict as `GraphTransfer` takes it, or None for `none`.
        """
        start = f"{prefix}_" if prefix else ""
        arguments = [inputs[start + name] for name in self.input_names]
        return None if self.source is None else self.source(*arguments)

    def on_embeddings(self, features, graphs, padding_mask):
        """The embeddings, with what the graphs bring where it is their place.

        Args:
            features: tensor `(B, T, d)`.
            graphs: what `graphs_of` gave.
            padding_mask: boolean `(B, T)`.

        Returns:
            Tensor `(B, T, d)` or `(B, T, d + units)`.
        """
        if graphs is None or self.mode == "glomo-rnn":
            return features
        return self._apply(features, graphs, padding_mask)

    def on_states(self, states, graphs, padding_mask):
        """Likewise for the states of the first RNN."""
        if graphs is None or self.mode != "glomo-rnn":
            return states
        return self._apply(states, graphs, padding_mask)

    def _apply(self, features, graphs, padding_mask):
        if isinstance(features, keras.KerasTensor):
            # Of the functional model: pictures and probes look at them.
            self.transferred.append((features, graphs, padding_mask))
        return self.transfer(features, graphs, padding_mask=padding_mask)

    def get_config(self):
        names = (
            "mode",
            "num_mixtures",
            "conditioned",
            "include_products",
            "graph_layers",
            "uniform_edges",
            "units",
            "dropout",
            "seed",
            "max_length",
        )
        return {
            **{name: getattr(self, name) for name in names},
            "predictor": self.predictor
            and keras.saving.serialize_keras_object(self.predictor),
            "dtype": keras.dtype_policies.serialize(self.policy),
        }

    @classmethod
    def from_config(cls, config):
        config = with_dtype_policy(config)
        predictor = keras.saving.deserialize_keras_object(config["predictor"])
        return cls(**{**config, "predictor": predictor})


def untrained(predictor):
    """A predictor of the same configuration and vocabulary, untrained."""
    other = type(predictor).from_config(predictor.get_config())
    other.vocabulary = predictor.vocabulary
    other.tokenizer_config = predictor.tokenizer_config
    return other
