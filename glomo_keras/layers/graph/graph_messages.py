import keras

from glomo_keras.ops.equations import num_terms
from glomo_keras.ops.gather import gather_terms
from glomo_keras.ops.graphs import check_transfer_shapes
from glomo_keras.ops.graphs import checked_directions
from glomo_keras.ops.streaming import supports_jit


@keras.saving.register_keras_serializable(package="glomo_keras")
class GraphMessages(keras.layers.Layer):
    """Gathers features along each graph of a mixture: `A_n H` for all N terms.

    The terms are those of `GraphMixture`: the graphs of all layers and heads
    and, with products, `P^l = G^l @ ... @ G^1`. A factored graph is not
    materialised: only blocks of rows of one layer are held.

    Since free mixture weights only combine the messages, those of frozen
    graphs and fixed features can be computed once and kept, for
    `MessageTransfer` to mix. The layer has no weights; its output is float32.

    Args:
        include_products: Whether the products P^l are among the terms.
            Defaults to `True`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: H, tensor `(B, T, d)`.
        graphs: Dict of `forward_graphs` and `backward_graphs` (one of them is
            enough), as a graph predictor gives them: each `(B, L, K, T, T)`
            or its factors.

    Returns:
        Dict of `forward_messages` and `backward_messages`, as many as there
        are graphs, each `(B, N, T, d)`, N = (2L - 1) K or L K.

    Raises:
        ValueError: If graphs are not such a dict, ranks are wrong, or lengths
            differ.

    Example:

    >>> import keras, glomo_keras as gk
    >>> graphs = {"forward_graphs": keras.ops.zeros((2, 3, 4, 5, 5))}
    >>> messages = gk.layers.GraphMessages()(keras.ops.ones((2, 5, 6)), graphs)
    >>> tuple(messages["forward_messages"].shape)
    (2, 20, 5, 6)

    Reference:
        Yang et al. 2018, Sec. 2.2.
    """

    def __init__(self, include_products=True, **kwargs):
        super().__init__(**kwargs)
        self.include_products = include_products
        self.supports_masking = True

    def build(self, features_shape, graphs_shape=None):
        self.compute_output_shape(features_shape, graphs_shape)
        self.supports_jit = supports_jit(features_shape[1])

    def call(self, features, graphs):
        return {
            f"{direction}_messages": gather_terms(
                graphs[f"{direction}_graphs"], features, self.include_products
            )
            for direction in checked_directions(graphs)
        }

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(self, features, graphs):
        shapes = self.compute_output_shape(
            features.shape,
            keras.tree.map_structure(lambda x: x.shape, graphs),
        )
        return {
            name: keras.KerasTensor(shape, dtype="float32")
            for name, shape in shapes.items()
        }

    def compute_output_shape(self, features_shape, graphs_shape):
        shapes = {}
        graphs = check_transfer_shapes(features_shape, graphs_shape)
        for direction, graph in graphs.items():
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
        }
