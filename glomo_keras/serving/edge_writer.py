"""Writes the strongest edges of a part of a corpus, on any machine."""

from typing import NamedTuple

import numpy as np

from glomo_keras.data.text.corpus_parts import PartReader
from glomo_keras.data.text.predict_graphs import padded
from glomo_keras.data.text.predict_graphs import tokenized
from glomo_keras.data.text.word_tokenizer import WordTokenizer
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.serving.edge_tables import write_tables

CHUNK_CHARACTERS = 1 << 15
CHUNK_TEXTS = 256


class Document(NamedTuple):
    """A text of the corpus, cleaned and tokenised.

    Attributes:
        name: str, `PART-NUMBER`, the number counting in the part.
        file: str, the name of its source.
        text: str, one paragraph a line.
        token_offsets: int32 `(T, 2)`, in characters of the text.
        token_ids: int32 `(T,)`.
    """

    name: str
    file: str
    text: str
    token_offsets: np.ndarray
    token_ids: np.ndarray


class Batch(NamedTuple):
    """Windows of documents of a shard.

    Attributes:
        places: List of `(document, start, length)`: int, the document's place
            in the shard; int, the window's first word; int, its words.
        inputs: Dict of `token_ids` and `padding_mask` `(B, T)`.
    """

    places: list
    inputs: dict


class EdgeWriter:
    """Extracts the edges of parts of a corpus into Parquet files.

    A document is divided into windows of about one length, at most
    `max_length` words; edges do not leave their window. What is in a shard,
    and which windows make a batch, depends on the part alone. A writer can be
    pickled.

    Args:
        folder: str, where the tables go.
        model_path: str, the folder of a SavedModel, see `EdgeModel`.
        vocabulary: List of str.
        tokenizer_config: Dict of the options of the `WordTokenizer`.
        min_paragraph_words, skip_broken: See `PartReader`.
        max_length: int, the most words of a window.
        batch_size: int, windows computed at a time.
        edges_per_word: float, see `extract_edges`.
        shard_words: int. A shard is closed once it holds so many words.
    """

    def __init__(
        self,
        folder,
        model_path,
        vocabulary,
        tokenizer_config,
        min_paragraph_words,
        skip_broken,
        max_length,
        batch_size,
        edges_per_word,
        shard_words,
    ):
        self.folder = folder
        self.model_path = model_path
        self.vocabulary = vocabulary
        self.tokenizer_config = tokenizer_config
        self.max_length = max_length
        self.batch_size = batch_size
        self.edges_per_word = edges_per_word
        self.shard_words = shard_words
        self.reader = PartReader(min_paragraph_words, skip_broken)
        self._model = self._tokenizer = None

    def __getstate__(self):
        return self.__dict__ | {"_model": None, "_tokenizer": None}

    def write(self, number, pieces, progress=None):
        """Writes the tables of a part, see `PartFiles.complete`."""
        if self._model is None:
            self._model = EdgeModel(self.model_path, self.edges_per_word)
        records = []
        for shard, documents in enumerate(self.read(number, pieces)):
            edges = []
            for batch in self.batches(documents):
                edges += self._model.edges(batch)
                if progress is not None:
                    progress(sum(length for *_, length in batch.places))
            records += self.save(number, shard, documents, edges)
        return {"files": records, "broken": self.reader.broken}

    def read(self, number, pieces):
        """Yields the documents of each shard of a part, a list."""
        shard, num_words = [], 0
        for document in self._documents(number, pieces):
            shard.append(document)
            num_words += len(document.token_ids)
            if num_words >= self.shard_words:
                yield shard
                shard, num_words = [], 0
        if shard:
            yield shard

    def batches(self, documents):
        """Yields the `Batch`es of a shard, windows of one length together."""
        windows = []
        for index, document in enumerate(documents):
            length = len(document.token_ids)
            count = -(-length // self.max_length)
            ends = [length * n // max(count, 1) for n in range(count + 1)]
            windows += [
                (index, start, end - start)
                for start, end in zip(ends, ends[1:], strict=False)
            ]
        windows.sort(key=lambda window: window[2])
        for first in range(0, len(windows), self.batch_size):
            places = windows[first : first + self.batch_size]
            ids = [
                documents[index].token_ids[start : start + length]
                for index, start, length in places
            ]
            yield Batch(places, padded(ids))

    def save(self, number, shard, documents, edges):
        """Writes the tables of a shard.

        Args:
            number: int, of the part.
            shard: int, of the shard in the part.
            documents: List of `Document`.
            edges: What `EdgeModel.edges` gave for all batches, in any order.

        Returns:
            See `write_tables`.
        """
        edges = sorted(edges, key=lambda window: window[0])
        joined = {
            name: np.concatenate([window[1][name] for window in edges])
            for name in edges[0][1]
        }
        name = f"{number:05d}-{shard:03d}"
        return write_tables(self.folder, name, documents, joined)

    def _documents(self, number, pieces):
        if self._tokenizer is None:
            self._tokenizer = WordTokenizer(
                self.vocabulary, **self.tokenizer_config
            )
        count = 0
        for chunk in _chunks(self.reader.texts(pieces)):
            rows = tokenized(self._tokenizer, [text for *_, text in chunk])
            for (piece, _, text), row in zip(chunk, rows, strict=True):
                file = getattr(pieces[piece][0], "name", "")
                if len(row["token_ids"]):
                    yield Document(
                        f"{number:05d}-{count:06d}",
                        str(file),
                        text,
                        row["token_offsets"],
                        row["token_ids"],
                    )
                    count += 1


class EdgeModel:
    """Finds the strongest edges of batches of windows, by a SavedModel.

    Args:
        path: str, the folder of a version, see `export_saved_model`.
        edges_per_word: float, see `extract_edges`.
    """

    def __init__(self, path, edges_per_word):
        import tensorflow as tf

        self.edges_per_word = edges_per_word
        self._model = tf.saved_model.load(path)  # keeps the variables
        self._graphs = self._model.signatures["from_ids"]

    def edges(self, batch):
        """Returns the edges of the windows of a `Batch`.

        Returns:
            List of `((document, start), edges)`, one for each window: a dict
            of arrays as `ranked_edges` gives it, but `source` and `receiver`
            count in the document, `document` in the shard, and `direction`
            is 0 for forward and 1 for backward.
        """
        import tensorflow as tf

        inputs = {k: tf.constant(v) for k, v in batch.inputs.items()}
        graphs = {k: v.numpy() for k, v in self._graphs(**inputs).items()}
        return [
            (
                (document, start),
                self._of_window(
                    {
                        name: graph[row, :, :, :length, :length]
                        for name, graph in graphs.items()
                    },
                    document,
                    start,
                ),
            )
            for row, (document, start, length) in enumerate(batch.places)
        ]

    def _of_window(self, graphs, document, start):
        # Importing all of `analysis` takes a second.
        from glomo_keras.analysis.top_edges import ranked_edges

        length = next(iter(graphs.values())).shape[-1]
        edges = ranked_edges(
            graphs, max(1, round(self.edges_per_word * length))
        )
        forward = edges["direction"] == DIRECTIONS[0]
        return {
            **edges,
            "document": np.full(len(forward), document, "int32"),
            "source": edges["source"] + np.int32(start),
            "receiver": edges["receiver"] + np.int32(start),
            "direction": np.where(forward, 0, 1).astype("int32"),
        }


def _chunks(texts):
    """Yields lists of texts to tokenise together."""
    chunk, size = [], 0
    for item in texts:
        full = size + len(item[-1]) > CHUNK_CHARACTERS
        if chunk and (full or len(chunk) == CHUNK_TEXTS):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += len(item[-1])
    if chunk:
        yield chunk
