import ast
import os
import pathlib
import subprocess
import sys

import pytest

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import serving

ROOT = pathlib.Path(__file__).parents[1]
# Keras stores weights by h5py; presets of format 1 are read by it.
ALLOWED = {"keras", "numpy", "h5py", "glomo_keras", *sys.stdlib_module_names}
OWN = {
    "utils": {"utils"},
    "ops": {"ops", "utils"},
    "layers": {"layers", "ops", "utils"},
    "models": {
        "models",
        "layers",
        "ops",
        "metrics",
        "bundled_presets",
        "utils",
    },
}


def imported(path):
    """Names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module == "glomo_keras":
                yield from (f"glomo_keras.{a.name}" for a in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("area", sorted(OWN))
def test_ops_layers_and_models_import_keras_and_numpy_alone(area):
    for path in (ROOT / "glomo_keras" / area).rglob("*.py"):
        for name in imported(path):
            first, *rest = name.split(".")
            assert first in ALLOWED, f"{path} imports {name}"
            assert not name.startswith("keras.src"), f"{path} imports {name}"
            if first == "glomo_keras":
                assert rest[0] in OWN[area], f"{path} imports {name}"


def test_library_never_imports_a_recipe():
    for path in (ROOT / "glomo_keras").rglob("*.py"):
        assert not any(name.startswith("recipes") for name in imported(path))


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            gk,
            {
                "ContextPretrainer",
                "FeaturePredictor",
                "GraphPredictor",
                "ImageClassifier",
                "ImageGraphPredictor",
                "PixelPretrainer",
                "analysis",
                "data",
                "layers",
                "metrics",
                "models",
                "serving",
                "training",
                "tuning",
            },
        ),
        (
            gk.data,
            {
                "BatchPart",
                "BucketedBatches",
                "Corpus",
                "CropBatches",
                "EvaluationBatches",
                "EvaluationCrops",
                "EvaluationImages",
                "EvaluationWindows",
                "Examples",
                "IMDB_LABELS",
                "ImageSet",
                "LabelledBatches",
                "Lexicon",
                "MNLI_LABELS",
                "PyBatches",
                "Reviews",
                "SentencePairs",
                "SquadQuestions",
                "TokenStream",
                "TokenizedCorpus",
                "UnusableImage",
                "WindowSampler",
                "WordTokenizer",
                "WordVectors",
                "as_dataset",
                "build_vocabulary",
                "clean_paragraphs",
                "cover_span",
                "decode_spans",
                "describe_skipped",
                "elmo_char_ids",
                "frequent_letters",
                "letter_ids",
                "load_elmo",
                "open_corpus",
                "open_images",
                "open_labelled",
                "predict_graphs",
                "prepare_corpus",
                "prepare_images",
                "prepare_on_beam",
                "read_image",
                "read_imdb",
                "read_imdb_file",
                "read_imdb_tfds",
                "read_mnli",
                "read_mnli_file",
                "read_mnli_tfds",
                "read_predictions",
                "read_squad",
                "read_squad_file",
                "read_squad_tfds",
                "read_vocabulary",
                "read_word_vectors",
                "span_text",
                "split_rows",
                "squad_scores",
                "write_predictions",
                "write_vocabulary",
            },
        ),
        (
            gk.training,
            {
                "ResumeTraining",
                "RunFolder",
                "atomic_file",
                "check_finite",
                "check_same",
                "current_job",
                "decided_by_first",
                "fit_resumable",
                "read_history",
                "run_processes",
                "transfer_perplexities",
                "transfer_perplexity",
                "write_history",
            },
        ),
        (
            gk.layers,
            {
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
            },
        ),
        (
            gk.models,
            {
                "ContextPretrainer",
                "CoupledGraphPredictor",
                "FeaturePredictor",
                "GivenGraphs",
                "GraphPredictor",
                "ImageClassifier",
                "ImageGraphPredictor",
                "PairClassifier",
                "PixelPretrainer",
                "PredictedGraphs",
                "PretrainedFeatures",
                "SkipThoughtPretrainer",
                "SpanReader",
                "TextClassifier",
                "TokenClassifier",
                "TransferProbe",
            },
        ),
        (
            analysis,
            {
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
            },
        ),
        (
            serving,
            {
                "GraphClient",
                "ServingError",
                "export_onnx",
                "export_saved_model",
                "extract_edges",
                "extract_edges_on_beam",
            },
        ),
    ],
)
def test_public_names(module, names):
    assert set(module.__all__) == names
    assert all(hasattr(module, name) for name in names)
    assert module.__all__ == sorted(module.__all__)


def test_subpackages_are_imported_when_they_are_used_without_tensorflow():
    code = """
import sys
import glomo_keras as gk
lazy = ("analysis", "data", "serving", "training", "tuning")
assert not any(f"glomo_keras.{name}" in sys.modules for name in lazy)
assert set(lazy) <= set(dir(gk))
for name in lazy:
    assert getattr(gk, name).__name__ == f"glomo_keras.{name}"
for name in gk.data.__all__:
    getattr(gk.data, name)
gk.layers.GraphTransfer()
gk.training.RunFolder
gk.serving.GraphClient
assert "tensorflow" not in sys.modules
sys.modules["tensorflow"] = None
gk.GraphPredictor.from_preset("glomo_small_en")
tokenizer = gk.data.WordTokenizer.from_preset("glomo_small_en")
assert tokenizer(["The cat sat."])["tokens"][0, 0] == "the"
try:
    gk.no_such_name
except AttributeError as error:
    assert "no_such_name" in str(error)
"""
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        check=True,
    )


def test_pictures_import_no_pyplot():
    """It chooses a window system, and keeps every figure."""
    for path in (ROOT / "glomo_keras/analysis").rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            assert not ("import" in line and "pyplot" in line), path
