"""Pictures, numbers, edge lists and tests of graphs, on numpy arrays."""

from glomo_keras.analysis import probes
from glomo_keras.analysis.bridges import to_networkx
from glomo_keras.analysis.bridges import to_pytorch_geometric
from glomo_keras.analysis.edges import dense_graphs
from glomo_keras.analysis.edges import graph_edges
from glomo_keras.analysis.graph_grid import plot_graph_grid
from glomo_keras.analysis.head_comparison import compare_heads
from glomo_keras.analysis.heat_map import plot_graph
from glomo_keras.analysis.pixel_maps import plot_pixel_maps
from glomo_keras.analysis.statistics import graph_statistics
from glomo_keras.analysis.subwords import find_offsets
from glomo_keras.analysis.subwords import subword_graphs
from glomo_keras.analysis.top_edges import ranked_edges
from glomo_keras.analysis.top_edges import top_edges
from glomo_keras.analysis.view_graphs import GraphPage
from glomo_keras.analysis.view_graphs import view_graphs

__all__ = [
    "GraphPage",
    "compare_heads",
    "dense_graphs",
    "find_offsets",
    "graph_edges",
    "graph_statistics",
    "plot_graph",
    "plot_graph_grid",
    "plot_pixel_maps",
    "probes",
    "ranked_edges",
    "subword_graphs",
    "to_networkx",
    "to_pytorch_geometric",
    "top_edges",
    "view_graphs",
]
