"""The strongest edges of a corpus as graphs of other libraries.

    python examples/graphs_of_a_corpus.py runs/edges

RUNS/EDGES is what `recipes.graphs.extract_edges` wrote. One line reads it
back; here each text becomes a graph of networkx and one of PyTorch Geometric,
and the words that most edges of the corpus lead from are printed. Needs
pandas, networkx and pyarrow (`pip install glomo-keras[bridges,parquet]`);
`to_geometric` needs the extra `geometric`.
"""

import pathlib
import sys

import numpy as np
import pandas

from glomo_keras import analysis


def read(folder):
    """Returns the tables of edges and of documents."""
    folder = pathlib.Path(folder)
    edges = pandas.read_parquet(folder / "edges")
    return edges, pandas.read_parquet(folder / "documents")


def tokens_of(document):
    """Returns the words of a row of the table of documents."""
    places = zip(document.word_starts, document.word_ends, strict=True)
    return [document.text[start:end] for start, end in places]


def arrays(edges, documents):
    """Returns edges as `glomo_keras.analysis.graph_edges` gives them.

    The example of an edge is the row of its document in `documents`.
    """
    names = ("source", "receiver", "layer", "head", "weight")
    columns = {name: edges[name].to_numpy() for name in names}
    columns["direction"] = edges["direction"].astype(str).to_numpy("U8")
    rows = pandas.Series(np.arange(len(documents)), documents["document"])
    columns["example"] = rows[edges["document"].astype(str)].to_numpy("int32")
    return columns


def to_networkx(edges, documents, name):
    """Returns the `networkx.MultiDiGraph` of one document."""
    document = documents[documents["document"] == name]
    columns = arrays(edges[edges["document"] == name], document)
    return analysis.to_networkx(columns, tokens_of(document.iloc[0]))


def to_geometric(edges, documents):
    """Returns a list of PyTorch Geometric's `Data`, one for each document."""
    return analysis.to_pytorch_geometric(
        arrays(edges, documents), documents["num_words"].to_numpy()
    )


def report(edges, documents):
    """Prints the words that most edges lead from, and a graph."""
    print(f"{len(edges):,} edges of {len(documents):,} documents")
    print(edges["source_word"].value_counts().head(10).to_string())
    graph = to_networkx(edges, documents, documents["document"][0])
    print(f"{documents['document'][0]}: {graph}")


if __name__ == "__main__":
    report(*read(sys.argv[1]))
