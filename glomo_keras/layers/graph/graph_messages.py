import keras

from glomo_keras.ops.messages import term_messages
from glomo_keras.ops.mixture import num_terms
from glomo_keras.ops.row_blocks import supports_jit
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class GraphMessages(keras.layers.Layer):
    """What each graph of a mixture brings: `A_n H` for all N terms.

    The terms are those of `GraphMixture`: the graphs of all layers and heads
    and, with products, `P^l = G^l @ ... @ G^1`. The graphs themselves are
    not made: of factors no more than blocks of rows of one layer are held.

    Since free mixture weights only combine the messages, those of frozen
    graphs and fixed features can be computed once and kept, for
    `MessageTransfer` to mix. The layer has no parameters; its output is
    float32.

    Args:
        include_products: boolean, whether the products P^l take part.
        activation: that of the graph predictor, for graphs in factored form.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        features: H, tensor `(B, T, d)`.
        graphs: what a graph predictor gives: a dict of `forward_graphs` and
            `backward_graphs` (one of them is enough), each `(B, L, K, T, T)`
            or its factors.
        padding_mask: boolean `(B, T)`, True = real unit.

    Returns:
        Dict of `forward_messages` and `backward_messages`, as many as there
        are graphs, each `(B, N, T, d)`, N = (2L - 1) K or L K.

    Raises:
        ValueError: unknown activation, graphs that are not such a dict, wrong
            ranks, or lengths that differ.

    Example:

    >>> import keras, glomo_keras as gk
    >>> graphs = {"forward_graphs": keras.ops.zeros((2, 3, 4, 5, 5))}
    >>> messages = gk.layers.GraphMessages()(keras.ops.ones((2, 5, 6)), graphs)
    >>> tuple(messages["forward_messages"].shape)
    (2, 20, 5, 6)

    Reference:
        Yang et al. 2018, Sec. 2.2.
    """

    def __init__(
        self, include_products=True, activation="squared_relu", **kwargs
    ):
        super().__init__(**kwargs)
        check.check_activation(activation)
        self.include_products = include_products
        self.activation = activation
        self.supports_masking = True

    def build(self, features_shape, graphs_shape=None):
        self.compute_output_shape(features_shape, graphs_shape)
        self.supports_jit = supports_jit(features_shape[1])

    def call(self, features, graphs, padding_mask=None, features_mask=None):
        mask = features_mask if padding_mask is None else padding_mask
        return {
            f"{direction}_messages": term_messages(
                graphs[f"{direction}_graphs"],
                features,
                self.include_products,
                padding_mask=mask,
                direction=direction,
                activation=self.activation,
            )
            for direction in check.checked_directions(graphs)
        }

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(
        self, features, graphs, padding_mask=None, features_mask=None
    ):
        shapes = self.compute_output_shape(
            features.shape,
            keras.tree.map_structure(lambda x: x.shape, graphs),
        )
        return {
            name: keras.KerasTensor(shape, dtype="float32")
            for name, shape in shapes.items()
        }

    def compute_output_shape(self, features_shape, graphs_shape):
        check.check_rank("features", features_shape, 3, "(B, T, d)")
        shapes = {}
        for direction in check.checked_directions(graphs_shape):
            graph = check.checked_graph_shape(
                f"{direction}_graphs",
                graphs_shape[f"{direction}_graphs"],
                (5,),
                "(B, L, K, T, T)",
            )
            check.check_same_length(
                features=features_shape[1], graphs=graph[-1]
            )
            terms = num_terms(graph[1], graph[2], self.include_products)
            shapes[f"{direction}_messages"] = (
                features_shape[0],
                terms,
                *features_shape[1:],
            )
        return shapes

    def get_config(self):
        return {
            **super().get_config(),
            "include_products": self.include_products,
            "activation": self.activation,
        }
