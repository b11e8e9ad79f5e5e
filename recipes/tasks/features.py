"""The features of a task's units, one object per choice of `--features`.

Such an object has `prepare(words)`, which reads what the words of a task
need and returns facts about it, and then

* `tables`: dict of input name to an array with a row for each word, what
  `data.Examples` makes the inputs from;
* `layers()`: dict of input name to a new layer that embeds this input, what
  the models take as `features`.
"""

import numpy as np

from glomo_keras import data


class WordVectorFeatures:
    """Frozen word vectors of a text file, for the words of the task.

    Words without a vector share row 1, zeros.

    Args:
        path: the file.
    """

    def __init__(self, path):
        if path is None or not path.is_file():
            raise ValueError(
                "--features glove reads word vectors from a file: --vectors "
                "FILE, GloVe's or one of recipes.pretrain.word_vectors. "
                f"Received: vectors={path}"
            )
        self.path = path
        self.tables = {}

    def prepare(self, words):
        """Reads the vectors.

        Args:
            words: list of str, those of a `data.Lexicon`.

        Returns:
            Dict of facts for the metrics.

        Raises:
            ValueError: no word has a vector, or the file is damaged.
        """
        vocabulary = ["<pad>", "<unk>", *words[1:]]
        read = data.read_word_vectors(self.path, vocabulary)
        found = int(read.found[2:].sum())
        print(f"{found:,} of {len(words) - 1:,} words have a vector.")
        if not found:
            raise ValueError(
                "No word of the task has a vector: is it the right file? "
                f"Received: vectors={self.path}"
            )
        rows = np.cumsum(read.found) + 1
        rows = np.where(read.found, rows, 1)
        self.tables = {"word_ids": np.append(0, rows[2:]).astype("int32")}
        width = read.vectors.shape[1]
        self._vectors = np.concatenate(
            [np.zeros((2, width), "float32"), read.vectors[read.found]]
        )
        return {
            "words": len(words) - 1,
            "words_with_vector": found,
            "vector_width": width,
        }

    def layers(self):
        """New layers of the features, by input name."""
        vectors = data.WordVectors(self._vectors, self._vectors.any(axis=1))
        return {"word_ids": vectors.embedding(name="word_embedding")}


class ElmoFeatures:
    """The frozen layers of a published ELMo, mixed with weights to train.

    Args:
        options_path, weights_path: its two files.
    """

    def __init__(self, options_path, weights_path):
        for name, path in (
            ("elmo_options", options_path),
            ("elmo_weights", weights_path),
        ):
            if path is None or not path.is_file():
                raise ValueError(
                    "--features elmo reads published files: --elmo-options "
                    "JSON and --elmo-weights HDF5. "
                    f"Received: {name}={path}"
                )
        self.paths = options_path, weights_path
        self.tables = {}
        # Bad files are refused before the long work.
        self._model = data.load_elmo(*self.paths).language_model

    def prepare(self, words):
        """Spells the words, see `WordVectorFeatures.prepare`."""
        characters = self._model.max_characters
        ids = data.elmo_char_ids([words], max_characters=characters)[0]
        ids[0] = 0
        self.tables = {"char_ids": ids}
        return {
            "elmo_width": 2 * self._model.projection_dim,
            "elmo_parameters": self._model.count_params(),
        }

    def layers(self):
        """New layers of the features, by input name."""
        return {"char_ids": data.load_elmo(*self.paths, name="elmo")}


class SeveralFeatures:
    """The features of several such objects side by side."""

    def __init__(self, *parts):
        self.parts = parts

    @property
    def tables(self):
        return _merged(part.tables for part in self.parts)

    def prepare(self, words):
        return _merged(part.prepare(words) for part in self.parts)

    def layers(self):
        return _merged(part.layers() for part in self.parts)


def _merged(dicts):
    return {name: value for made in dicts for name, value in made.items()}


def make_features(options):
    """The object of `options.features`; refuses files that are none.

    Args:
        options: `FeatureOptions`.
    """
    makers = {
        "glove": lambda: WordVectorFeatures(options.vectors),
        "elmo": lambda: ElmoFeatures(
            options.elmo_options, options.elmo_weights
        ),
    }
    parts = [makers[name]() for name in options.features.split("+")]
    return parts[0] if len(parts) == 1 else SeveralFeatures(*parts)
