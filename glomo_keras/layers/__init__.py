"""The layers of GLoMo; each runs on TensorFlow, JAX and PyTorch."""

from glomo_keras.layers.attention_pooling import AttentionPooling
from glomo_keras.layers.bi_attention import BiAttention
from glomo_keras.layers.bidirectional_gru import BidirectionalGRU
from glomo_keras.layers.character_cnn import CharacterCNN
from glomo_keras.layers.context_decoder import ContextDecoder
from glomo_keras.layers.elmo import Elmo
from glomo_keras.layers.elmo_language_model import ElmoLanguageModel
from glomo_keras.layers.feature_composition import FeatureComposition
from glomo_keras.layers.gated_graph_fusion import GatedGraphFusion
from glomo_keras.layers.graph_messages import GraphMessages
from glomo_keras.layers.graph_mixture import GraphMixture
from glomo_keras.layers.graph_transfer import GraphTransfer
from glomo_keras.layers.graph_weighted_sum import GraphWeightedSum
from glomo_keras.layers.masked_key_query_conv import MaskedKeyQueryConv
from glomo_keras.layers.mean_max_pooling import MeanMaxPooling
from glomo_keras.layers.message_transfer import MessageTransfer
from glomo_keras.layers.pixel_coordinates import PixelCoordinates
from glomo_keras.layers.pixel_embedding import PixelEmbedding
from glomo_keras.layers.pixel_window_decoder import PixelWindowDecoder
from glomo_keras.layers.scalar_mix import ScalarMix
from glomo_keras.layers.soft_alignment import SoftAlignment
from glomo_keras.layers.span_pointer import SpanPointer
from glomo_keras.layers.squared_relu_graph import SquaredReLUGraph
from glomo_keras.layers.uniform_graph import UniformGraph

__all__ = [
    "AttentionPooling",
    "BiAttention",
    "BidirectionalGRU",
    "CharacterCNN",
    "ContextDecoder",
    "Elmo",
    "ElmoLanguageModel",
    "FeatureComposition",
    "GatedGraphFusion",
    "GraphMessages",
    "GraphMixture",
    "GraphTransfer",
    "GraphWeightedSum",
    "MaskedKeyQueryConv",
    "MeanMaxPooling",
    "MessageTransfer",
    "PixelCoordinates",
    "PixelEmbedding",
    "PixelWindowDecoder",
    "ScalarMix",
    "SoftAlignment",
    "SpanPointer",
    "SquaredReLUGraph",
    "UniformGraph",
]
