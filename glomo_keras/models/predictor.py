import types

from glomo_keras.layers import SquaredReLUGraph
from glomo_keras.models import presets
from glomo_keras.models.network_model import Network
from glomo_keras.models.network_model import NetworkModel


class Predictor(NetworkModel):
    """Base class for graph predictors: both forms of graphs, and presets.

    A subclass makes its layers, among them `graph`, and connects them up to
    the factors. It has the attributes `embedding_dim`, `num_heads`,
    `key_dim`, `num_graph_layers`, `activation` and `directions`, and the
    methods that a pretrainer calls:

    * `embed(inputs)` returns F^0, the features of single positions;
    * `layer_by_layer(embedded, padding_mask, training, positions)` returns a
      dict of `forward` and `backward` (or one of them): lists of L factored
      graphs of one layer, the last with the rows at `positions` alone, where
      these are given (dict of a tensor `(N,)` or None by direction).
    """

    vocabulary_size = None
    tokenizer_config = None
    _vocabulary = None

    def set_graphs(self, inputs, factors, trainable):
        """Makes the networks of both forms.

        Args:
            inputs: Dict of `keras.Input`.
            factors: Dict of factored graphs.
            trainable: Boolean; False freezes all layers.
        """
        graphs = {name: self.graph(graph) for name, graph in factors.items()}
        self.set_network(inputs, graphs, trainable)
        self._forms = types.SimpleNamespace(
            factored=Network(inputs, factors, name=f"{self.name}_factored")
        )

    def make_graph_layer(self, activation):
        """Returns the layer of Eq. 1."""
        return SquaredReLUGraph(
            activation, dtype=self.dtype_policy, name="graph"
        )

    def factored(self):
        """Returns this predictor with graphs in factored form as outputs.

        Every layer that takes a graph takes this form, which is linear in T.

        Returns:
            A `keras.Model` that shares this model's layers. Its outputs are
            the dicts described in `glomo_keras.ops.graphs`. A model that is
            to be saved holds this or the predictor itself, not both: Keras
            stores weights that two of its models share with one of them, and
            cannot read the other.

        Raises:
            ValueError: If the activation is one of the ablations, whose
                graphs exist as tensors only.
        """
        if self.activation != "squared_relu":
            raise ValueError(
                "Only graphs of the squared ReLU have a factored form: call "
                "the predictor itself for the tensors. "
                f"Received: activation={self.activation!r}"
            )
        return self._forms.factored

    def readable(self, factors):
        """Returns a graph in a form that layers read.

        Args:
            factors: Factored graph, of one layer or of all.

        Returns:
            The factors, or the graph itself for the ablations of Eq. 1.
        """
        if self.activation == "squared_relu":
            return factors
        return self.graph(factors)

    @property
    def vocabulary(self):
        """List of V tokens in the order of their ids, or None."""
        # One string: Keras would walk through a list as long as this.
        return self._vocabulary and self._vocabulary.split("\n")

    @vocabulary.setter
    def vocabulary(self, tokens):
        if tokens is not None and len(tokens) != self.vocabulary_size:
            raise ValueError(
                f"The vocabulary must have {self.vocabulary_size} tokens, as "
                f"many as the embedding. Received: {len(tokens)} tokens"
            )
        for token in tokens or ():
            if "\n" in token:
                raise ValueError(
                    "A token cannot contain a newline, which separates the "
                    f"tokens of a vocabulary file. Received: {token!r}"
                )
        self._vocabulary = tokens and "\n".join(tokens)

    @classmethod
    def from_preset(cls, preset, trainable=False, dtype=None):
        """Reads a pretrained predictor, with its vocabulary if of texts.

        Args:
            preset: Folder that `save_to_preset` wrote (also that of a
                pretrainer), or the name of a preset that comes with the
                package.
            trainable: Boolean; False freezes it, also its dropout and batch
                statistics. Defaults to `False`.
            dtype: Dtype policy, or its name, under which it computes.
                Defaults to `None`, the one it was saved with.

        Raises:
            ValueError: If there is no such preset, it holds another model,
                or it is damaged, incomplete or too new. The message names
                the file and the fault.
        """
        model = presets.load(preset, dtype)
        predictor = getattr(model, "graph_predictor", model)
        presets.check_class(preset, predictor, cls)
        predictor.trainable = trainable
        return predictor

    def save_to_preset(self, folder, dtype="float32"):
        """Writes the files of a preset, see `glomo_keras.models.presets`.

        Args:
            folder: Path; made if needed. An existing preset is replaced.
            dtype: `"float32"`, or `"float16"` for a file of half the size.
                Defaults to `"float32"`.
        """
        presets.save(self, folder, dtype)

    def get_config(self):
        config = super().get_config()
        if self.vocabulary_size is None:
            return config
        return {
            **config,
            "vocabulary": self.vocabulary,
            "tokenizer_config": self.tokenizer_config,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        vocabulary = config.pop("vocabulary", None)
        tokenizer_config = config.pop("tokenizer_config", None)
        predictor = super().from_config(config)
        predictor.vocabulary = vocabulary
        predictor.tokenizer_config = tokenizer_config
        return predictor
