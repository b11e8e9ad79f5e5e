"""The strongest edges of all texts of a corpus, as Parquet files."""

import hashlib
import json
import os
import pathlib

from glomo_keras.data.part_files import PartFiles
from glomo_keras.data.text.corpus import as_corpus
from glomo_keras.data.text.corpus_parts import BYTES_PER_WORD
from glomo_keras.data.text.corpus_parts import pieces_of
from glomo_keras.data.text.corpus_parts import plan_parts
from glomo_keras.data.text.predict_graphs import checked_tokenizer
from glomo_keras.serving.edge_tables import import_pyarrow
from glomo_keras.serving.edge_writer import EdgeWriter
from glomo_keras.serving.export import export_saved_model
from glomo_keras.utils import files
from glomo_keras.utils.validation import check_positive
from glomo_keras.utils.workers import Workers

FORMAT = 2


def extract_edges(
    predictor, spec, out, progress=True, num_processes=1, **options
):
    """Writes the strongest edges of each text of a corpus.

    `OUT/edges/*.parquet` has one row for each edge, strongest first within a
    window of a document, and `OUT/documents/*.parquet` one for each text:

    | column of `edges` | |
    |---|---|
    | `document` | name of the text, `PART-NUMBER` |
    | `source`, `receiver` | int32, words of the text, from 0 |
    | `source_start`, `source_end`, `receiver_start`, `receiver_end` | int32, \
the characters of the word in the text |
    | `source_word`, `receiver_word` | as they stand in the text |
    | `weight` | float32, of the edge in the graph |
    | `excess` | float32, the weight less the uniform share of its row |
    | `layer`, `head` | int32, from 0 |
    | `direction` | `forward` or `backward` |

    | column of `documents` | |
    |---|---|
    | `document` | its name |
    | `file` | the source it comes from |
    | `text` | cleaned, one paragraph a line |
    | `num_words` | int32 |
    | `word_starts`, `word_ends` | lists of int32, the characters of each word |

    Edges are ranked as in `glomo_keras.analysis.top_edges`: what could not be
    otherwise, or does not exceed the uniform share, is left out. A text is
    divided into windows; edges do not leave theirs. Texts without a word are
    left out. The predictor is exported to `OUT/model` and runs from there.

    A run that was killed goes on with the parts that are missing. The files
    depend on the corpus, the predictor and the options, not on the number of
    processes; `extract_edges_on_beam` writes the same on many machines. That
    is so bit by bit where TensorFlow has one thread for an operation:
    several processes have one each, and the environment variable
    `TF_NUM_INTRAOP_THREADS=1`, set before TensorFlow starts, makes it one in
    this process and in Beam's workers.

    Args:
        predictor: `GraphPredictor`.
        spec: What `open_corpus` takes, or a `Corpus`, which has its options.
        out: Folder for everything that is written.
        progress: Whether to show a progress bar. Defaults to True.
        num_processes: int. With more than one, a script needs
            `if __name__ == "__main__":`. Defaults to 1.
        tokenizer: `WordTokenizer` with the vocabulary and the options that
            the predictor was pretrained with. Defaults to its own.
        edges_per_word: float, the most edges of a window for each of its
            words, over all layers, heads and directions. Defaults to 2.
        max_length: int, the most words of a window. Defaults to 100.
        batch_size: int, windows computed at a time. Defaults to 16.
        shard_words: int, the most words of a shard, give or take a text.
            Defaults to 100,000.
        texts, min_paragraph_words, data_dir, wiki: See `open_corpus`. By
            default `min_paragraph_words` is 1, or what the `Corpus` has.
        skip_broken: See `prepare_corpus`. Defaults to False.

    Returns:
        `pathlib.Path`, `out`.

    Raises:
        FileNotFoundError: If a source does not exist.
        ImportError: If the package pyarrow is missing.
        RuntimeError: If Keras does not run on TensorFlow, or one of several
            processes was killed.
        ValueError: If an argument is wrong, a file is broken, no text has a
            word, or `out` holds edges of something else.

    Example:

    ```python
    predictor = gk.GraphPredictor.from_preset("glomo_small_en")
    gk.serving.extract_edges(predictor, "wiki/*/wiki_*", "runs/edges")
    edges = pandas.read_parquet("runs/edges/edges")
    ```
    """
    check_positive(num_processes=num_processes)
    plan = ExtractionPlan(predictor, spec, out, **options)
    title = "extracting" if progress else None
    with Workers(num_processes) as workers:
        plan.part_files.complete(plan.writer, plan.pieces, title, workers)
    return plan.finish()


def extract_edges_on_beam(predictor, spec, out, beam_options=(), **options):
    """Does what `extract_edges` does, as a job of Apache Beam.

    Both write the same files, and each goes on with what the other wrote. The
    workers run the SavedModel with Beam's `RunInference`; all of them must
    reach the sources and `out` by the same paths (a shared file system), and
    have this package installed.

    Args:
        predictor, spec, out: See `extract_edges`.
        beam_options: See `prepare_on_beam`. Defaults to one process on this
            machine.
        **options: What else `extract_edges` takes from `tokenizer` on.

    Returns:
        `pathlib.Path`, `out`.

    Raises:
        ImportError: If the package apache-beam or pyarrow is missing.
        FileNotFoundError, RuntimeError, ValueError: See `extract_edges`. What
            a worker raises arrives as the runner reports it.
    """
    from glomo_keras.data import beam_jobs

    pipeline = beam_jobs.make_pipeline(beam_options)
    plan = ExtractionPlan(predictor, spec, out, **options)
    missing = plan.part_files.find()
    if missing:
        from glomo_keras.serving import edges_on_beam

        edges_on_beam.build_pipeline(pipeline, plan, missing)
        pipeline.run().wait_until_finish()
        plan.part_files.complete(plan.writer, plan.pieces)
    return plan.finish()


class ExtractionPlan:
    """Plans the work on a corpus: its parts, the folder and the writer.

    Args:
        predictor, spec, out, ...: See `extract_edges`.

    Attributes:
        part_files: `PartFiles`, the tables.
        writer: `EdgeWriter`.
    """

    def __init__(
        self,
        predictor,
        spec,
        out,
        tokenizer=None,
        edges_per_word=2,
        max_length=100,
        batch_size=16,
        shard_words=100_000,
        texts="auto",
        min_paragraph_words=None,
        data_dir=None,
        wiki=None,
        skip_broken=False,
    ):
        import_pyarrow()
        numbers = {
            "max_length": max_length,
            "batch_size": batch_size,
            "shard_words": shard_words,
        }
        check_positive(**numbers)
        if not edges_per_word > 0:
            raise ValueError(
                "`edges_per_word` must be above 0. "
                f"Received: edges_per_word={edges_per_word}"
            )
        numbers["edges_per_word"] = edges_per_word
        tokenizer = checked_tokenizer(predictor, tokenizer)
        self._corpus = as_corpus(
            spec,
            1,
            min_paragraph_words,
            texts=texts,
            data_dir=data_dir,
            wiki=wiki,
        )
        self._out = pathlib.Path(out).expanduser()
        key = {
            "format": FORMAT,
            "predictor": _fingerprint(predictor),
            "vocabulary": files.digest(tokenizer.vocabulary),
            "tokenizer": tokenizer.get_config(),
            "min_paragraph_words": self._corpus.min_paragraph_words,
            "sources": self._corpus.signature(),
            **numbers,
        }
        model_path = _claim_folder(self._out, key, predictor)
        self.writer = EdgeWriter(
            str(self._out),
            model_path,
            tokenizer.vocabulary,
            tokenizer.get_config(),
            self._corpus.min_paragraph_words,
            skip_broken,
            **numbers,
        )
        self._parts = plan_parts(
            self._corpus.sources, BYTES_PER_WORD * shard_words
        )
        self.part_files = PartFiles(str(self._out), self._parts)

    def pieces(self, number):
        """Returns the pieces of a part, as `EdgeWriter.write` takes them."""
        return pieces_of(self._corpus.sources, self._parts[number])

    def finish(self):
        """Returns the folder when the tables are complete.

        Raises:
            ValueError: If there is no word in them.
        """
        self.part_files.warn_of_broken(len(self._corpus.sources))
        if not self.part_files.file_records():
            raise ValueError(
                "The corpus holds no usable text: there is no word in it, or "
                f"its files are broken. Received: {self._corpus.spec!r}"
            )
        return self._out


def _fingerprint(predictor):
    """Returns hexadecimal digits that identify a model and its weights."""
    config = predictor.get_config() | {"name": None}
    config = json.dumps(config, sort_keys=True, default=str)
    digest = hashlib.sha256(config.encode())
    for weights in predictor.get_weights():
        digest.update(weights.tobytes())
    return digest.hexdigest()[:16]


def _claim_folder(out, key, predictor):
    """Takes a folder for one job; returns the path of the model in it."""
    path = out / "extraction.json"
    digest = files.digest(key)
    known = files.read_json_or_none(path)
    if known is not None and known["digest"] != digest:
        raise ValueError(
            "The folder holds edges of another corpus, predictor or options: "
            f"take a new one, or delete it. Received: out={out}"
        )
    model = out / "model" / "1"
    if known is None:
        if model.exists():
            raise ValueError(
                "The folder holds a model already, of another job: take a new "
                f"one. Received: out={out}"
            )
        out.mkdir(parents=True, exist_ok=True)
        files.write_json(path, {"digest": digest, **key}, shared=True)
    if not model.exists():
        export_saved_model(predictor, model.parent)
    return os.fspath(model)
