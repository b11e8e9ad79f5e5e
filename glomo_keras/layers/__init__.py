"""The layers of GLoMo; each runs on TensorFlow, JAX and PyTorch."""

from glomo_keras.layers.elmo.elmo import Elmo
from glomo_keras.layers.elmo.elmo_language_model import ElmoLanguageModel
from glomo_keras.layers.graph.context_decoder import ContextDecoder
from glomo_keras.layers.graph.distance_decay_graph import DistanceDecayGraph
from glomo_keras.layers.graph.feature_composition import FeatureComposition
from glomo_keras.layers.graph.gated_graph_fusion import GatedGraphFusion
from glomo_keras.layers.graph.graph_messages import GraphMessages
from glomo_keras.layers.graph.graph_mixture import GraphMixture
from glomo_keras.layers.graph.graph_transfer import GraphTransfer
from glomo_keras.layers.graph.graph_weighted_sum import GraphWeightedSum
from glomo_keras.layers.graph.key_query_projection import KeyQueryProjection
from glomo_keras.layers.graph.masked_key_query_conv import MaskedKeyQueryConv
from glomo_keras.layers.graph.message_transfer import MessageTransfer
from glomo_keras.layers.graph.multi_head_transfer import MultiHeadTransfer
from glomo_keras.layers.graph.multi_head_weighted_sum import (
    MultiHeadWeightedSum,
)
from glomo_keras.layers.graph.squared_relu_graph import SquaredReLUGraph
from glomo_keras.layers.graph.uniform_graph import UniformGraph
from glomo_keras.layers.pixels.pixel_coordinates import PixelCoordinates
from glomo_keras.layers.pixels.pixel_embedding import PixelEmbedding
from glomo_keras.layers.pixels.pixel_window_decoder import PixelWindowDecoder
from glomo_keras.layers.text.attention_pooling import AttentionPooling
from glomo_keras.layers.text.bi_attention import BiAttention
from glomo_keras.layers.text.bidirectional_gru import BidirectionalGRU
from glomo_keras.layers.text.character_cnn import CharacterCNN
from glomo_keras.layers.text.mean_max_pooling import MeanMaxPooling
from glomo_keras.layers.text.scalar_mix import ScalarMix
from glomo_keras.layers.text.soft_alignment import SoftAlignment
from glomo_keras.layers.text.span_pointer import SpanPointer

__all__ = [
    "AttentionPooling",
    "BiAttention",
    "BidirectionalGRU",
    "CharacterCNN",
    "ContextDecoder",
    "DistanceDecayGraph",
    "Elmo",
    "ElmoLanguageModel",
    "FeatureComposition",
    "GatedGraphFusion",
    "GraphMessages",
    "GraphMixture",
    "GraphTransfer",
    "GraphWeightedSum",
    "KeyQueryProjection",
    "MaskedKeyQueryConv",
    "MeanMaxPooling",
    "MessageTransfer",
    "MultiHeadTransfer",
    "MultiHeadWeightedSum",
    "PixelCoordinates",
    "PixelEmbedding",
    "PixelWindowDecoder",
    "ScalarMix",
    "SoftAlignment",
    "SpanPointer",
    "SquaredReLUGraph",
    "UniformGraph",
]
