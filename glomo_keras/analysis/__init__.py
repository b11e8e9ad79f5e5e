"""Pictures and numbers of graphs, on numpy arrays. No display is needed."""

from glomo_keras.analysis.edges import top_edges
from glomo_keras.analysis.graph_grid import plot_graph_grid
from glomo_keras.analysis.heat_map import plot_graph
from glomo_keras.analysis.pixel_maps import plot_pixel_maps
from glomo_keras.analysis.statistics import graph_statistics
from glomo_keras.analysis.view_graphs import GraphPage
from glomo_keras.analysis.view_graphs import view_graphs

__all__ = [
    "GraphPage",
    "graph_statistics",
    "plot_graph",
    "plot_graph_grid",
    "plot_pixel_maps",
    "top_edges",
    "view_graphs",
]
