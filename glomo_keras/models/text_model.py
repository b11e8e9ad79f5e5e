import keras

from glomo_keras.layers import GraphTransfer
from glomo_keras.models.network_model import NetworkModel
from glomo_keras.models.text_inputs import embed_text
from glomo_keras.models.text_inputs import graphs_from
from glomo_keras.models.text_inputs import text_inputs
from glomo_keras.utils import validation as check

PLACEMENTS = ("embeddings", "states")


class TextModel(NetworkModel):
    """Base class for task models of texts: where graphs meet features.

    Graphs come from a *source*, a layer: `PredictedGraphs`, `GivenGraphs`,
    `UniformGraph`, or one's own. It is called with a dict of the inputs that
    its attribute `input_names` names (`UniformGraph` with the padding mask),
    and returns a dict of `forward_graphs` and `backward_graphs`. A *transfer*
    `call(features, graphs)` applies them, either to the embedded text or to
    the states of the first RNN: the *placement*. One transfer serves all
    texts of a model.

    A subclass embeds each of its texts by `embed(inputs, text)` and passes
    the states of its first RNN through `with_graphs(states, text, "states")`.

    Args:
        features: Dict of input name to the layer that embeds this input. One
            with the attribute `input_names` is called with a dict of the
            inputs that it names.
        graphs: Source or None.
        transfer: Layer; None for `GraphTransfer()`.
        placement: `"embeddings"` or `"states"`.
        dtype: Dtype policy.
        name: String.
    """

    texts = ("",)

    def __init__(self, features, graphs, transfer, placement, dtype, name):
        check.check_option("placement", placement, PLACEMENTS)
        super().__init__(dtype=dtype, name=name)
        self.features = dict(features)
        self.graphs = graphs
        check.check_transfer(graphs, transfer)
        if graphs is not None and transfer is None:
            transfer = GraphTransfer(
                dtype=self.dtype_policy, name="graph_transfer"
            )
        self.transfer = transfer
        self.placement = placement
        self._fused = {}

    def make_inputs(self, *names):
        """Returns the dict of `keras.Input` of all texts.

        Args:
            *names: Inputs of a text in addition to its padding mask, those of
                the features and those of the source.
        """
        needed = ["padding_mask", *self.features]
        for layer in (*self.features.values(), self.graphs):
            needed += getattr(layer, "input_names", ())
        inputs = {}
        for text in self.texts:
            inputs |= text_inputs([*needed, *names], text, graphs=self.graphs)
        return inputs

    def embed(self, inputs, text=""):
        """Returns the embedded text, with graphs if this is their place.

        Tensor `(B, T, d)`, or `(B, T, d + units)`. Graphs for the states are
        made here as well.

        Args:
            inputs: Dict of the model's inputs.
            text: String, one of `texts`. Defaults to `""`.
        """
        if self.graphs is not None:
            graphs = graphs_from(self.graphs, inputs, text)
            self._fused[text] = {"graphs": graphs}
        embedded = embed_text(self.features, inputs, text)
        return self.with_graphs(embedded, text, "embeddings")

    def with_graphs(self, features, text, placement):
        """Returns the features, with graphs if this is their place."""
        if self.graphs is None or placement != self.placement:
            return features
        self._fused[text]["features"] = features
        return self.transfer(features, self._fused[text]["graphs"])

    def graph_inputs(self, text=""):
        """Returns what the transfer is called with, for pictures and probes.

        Args:
            text: String, one of the model's `texts`. Defaults to `""`, the
                text of a model that has only one.

        Returns:
            A `keras.Model` from this model's inputs to a dict of `features`
            `(B, T, d)` and `graphs`, a dict of `forward_graphs` and
            `backward_graphs`.

        Raises:
            ValueError: If the model has no graphs or no such text.
        """
        if self.graphs is None:
            raise ValueError("This model has no graphs. Received: graphs=None")
        check.check_option("text", text, self.texts)
        fused = self._fused[text]
        return keras.Model(
            self.input,
            {"features": fused["features"], "graphs": fused["graphs"]},
            name=f"{self.name}_graph_inputs",
        )

    def mixed_at_once(self):
        if not isinstance(self.transfer, GraphTransfer):
            return self
        config = self.get_config()
        config["transfer"]["config"]["max_length"] = 1  # all T are "short"
        copy = type(self).from_config(config)
        copy.set_weights(self.get_weights())
        return copy

    def get_config(self):
        return {
            **super().get_config(),
            "features": {
                name: keras.layers.serialize(layer)
                for name, layer in self.features.items()
            },
            "graphs": self.graphs and keras.layers.serialize(self.graphs),
            "transfer": self.transfer and keras.layers.serialize(self.transfer),
            "placement": self.placement,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        read = keras.layers.deserialize
        features = {n: read(layer) for n, layer in config["features"].items()}
        parts = {
            n: config[n] and read(config[n]) for n in ("graphs", "transfer")
        }
        return super().from_config({**config, "features": features, **parts})
