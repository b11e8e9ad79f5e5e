"""Extraction of edges as a pipeline of Apache Beam.

Only `extract_edges_on_beam` imports this module, which needs apache-beam.
"""

import apache_beam as beam
from apache_beam.ml.inference.base import KeyedModelHandler
from apache_beam.ml.inference.base import ModelHandler
from apache_beam.ml.inference.base import PredictionResult
from apache_beam.ml.inference.base import RunInference

from glomo_keras.data import beam_jobs
from glomo_keras.data.part_files import save_record
from glomo_keras.serving.edge_writer import EdgeModel


class EdgeModelHandler(ModelHandler):
    """Loads the SavedModel of a predictor and finds edges with it.

    An example is a whole `Batch` of windows and is never put together with
    others: which windows are computed together must not depend on the
    workers.

    Args:
        path, edges_per_word: See `EdgeModel`.
    """

    def __init__(self, path, edges_per_word):
        super().__init__()
        self._arguments = (path, edges_per_word)

    def load_model(self):
        """Returns an `EdgeModel`."""
        return EdgeModel(*self._arguments)

    def run_inference(self, batch, model, inference_args=None):
        """Yields what `EdgeModel.edges` gives for each example."""
        for example in batch:
            yield PredictionResult(None, model.edges(example))

    def batch_elements_kwargs(self):
        """Returns the options by which Beam makes batches of examples."""
        return {"min_batch_size": 1, "max_batch_size": 1}


def build_pipeline(pipeline, plan, missing):
    """Adds the steps to a pipeline.

    Args:
        pipeline: `apache_beam.Pipeline`.
        plan: `ExtractionPlan`.
        missing: List of int, the parts that are to be done.
    """
    part_files, writer = plan.part_files, plan.writer
    read = beam_jobs.spread_parts(
        pipeline, plan, missing
    ) | "Tokenise" >> beam.FlatMap(_read, writer).with_outputs(
        "parts", "documents", "batches"
    )
    handler = EdgeModelHandler(writer.model_path, writer.edges_per_word)
    edges = (
        read.batches
        | "SpreadBatches" >> beam.Reshuffle()
        | "FindEdges" >> RunInference(KeyedModelHandler(handler))
    )
    tables = (
        {"documents": read.documents, "edges": edges}
        | "GatherShards" >> beam.CoGroupByKey()
        | "WriteTables" >> beam.Map(_save, writer)
    )
    _ = (
        {"part": read.parts, "tables": tables}
        | "GatherParts" >> beam.CoGroupByKey()
        | "FinishParts" >> beam.Map(_finish, part_files.folder)
    )


def _read(part, writer):
    """Yields the documents and batches of a part, and its broken files."""
    number, plan, pieces = part
    for shard, documents in enumerate(writer.read(number, pieces)):
        key = number, shard
        yield beam.pvalue.TaggedOutput("documents", (key, documents))
        for batch in writer.batches(documents):
            yield beam.pvalue.TaggedOutput("batches", (key, batch))
    broken = writer.reader.broken
    beam_jobs.count("broken_files", len(broken))
    record = {"plan": plan, "broken": broken}
    yield beam.pvalue.TaggedOutput("parts", (number, record))


def _save(shard, writer):
    (number, index), groups = shard
    [documents] = groups["documents"]
    edges = [
        window for result in groups["edges"] for window in result.inference
    ]
    records = beam_jobs.attempt(writer.save, number, index, documents, edges)
    beam_jobs.count("words", sum(record["num_words"] for record in records))
    return number, (index, records)


def _finish(part, folder):
    number, groups = part
    [record] = groups["part"]
    tables = sorted(groups["tables"], key=lambda table: table[0])
    files = [record for _, records in tables for record in records]
    save_record(folder, number, {**record, "files": files})
