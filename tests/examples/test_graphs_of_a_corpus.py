"""Tables of edges as graphs of networkx and PyTorch Geometric."""

import keras
import pytest

pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("networkx")
if keras.backend.backend() != "tensorflow":
    pytest.skip("a SavedModel needs TensorFlow", allow_module_level=True)

from examples import graphs_of_a_corpus  # noqa: E402
from glomo_keras import serving  # noqa: E402
from tests.models.small_models import small_predictor  # noqa: E402

TEXTS = ["The cat sat .", "it was tired . it was", "cat", "the cat was it"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tables of four texts in two shards."""
    folder = tmp_path_factory.mktemp("edges")
    (folder / "a.txt").write_text("\n".join(TEXTS))
    predictor = small_predictor()
    words = "<pad> <unk> the cat sat . it was tired"
    predictor.vocabulary = words.split()
    predictor.tokenizer_config = {"lowercase": True}
    out = serving.extract_edges(
        predictor,
        str(folder / "a.txt"),
        folder / "out",
        progress=False,
        texts="line",
        shard_words=8,
    )
    return graphs_of_a_corpus.read(out)


def test_networkx_has_the_words_and_edges_of_a_document(tables):
    edges, documents = tables
    assert documents["text"].tolist() == TEXTS
    for name, text in zip(documents["document"], TEXTS, strict=True):
        graph = graphs_of_a_corpus.to_networkx(edges, documents, name)
        tokens = [graph.nodes[n]["token"] for n in sorted(graph.nodes)]
        assert tokens == text.split()
        table = edges[edges["document"] == name]
        assert graph.number_of_edges() == len(table)
        for row in table.itertuples():
            key = (row.direction, row.layer, row.head)
            edge = graph.edges[row.source, row.receiver, key]
            assert edge["weight"] == row.weight


def test_pytorch_geometric_has_the_edges_of_all_documents(tables):
    pytest.importorskip("torch_geometric")
    edges, documents = tables
    graphs = graphs_of_a_corpus.to_geometric(edges, documents)
    assert [data.num_nodes for data in graphs] == [4, 6, 1, 4]
    for data, name in zip(graphs, documents["document"], strict=True):
        table = edges[edges["document"] == name]
        assert data.edge_index.tolist() == [
            table["source"].tolist(),
            table["receiver"].tolist(),
        ]
        assert data.edge_weight.tolist() == table["weight"].tolist()


def test_the_example_prints_the_most_frequent_sources(tables, capsys):
    edges, documents = tables
    graphs_of_a_corpus.report(edges, documents)
    printed = capsys.readouterr().out
    assert f"{len(edges)} edges of 4 documents" in printed
    assert "MultiDiGraph" in printed
