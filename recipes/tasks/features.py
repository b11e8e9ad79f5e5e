"""The features of a task's words: word vectors, ELMo, or both."""

import dataclasses

import numpy as np

from glomo_keras import data

FILES = {"glove": ("vectors",), "elmo": ("elmo_options", "elmo_weights")}
"""Options of the files that each kind of features reads."""


@dataclasses.dataclass
class Features:
    """Inputs of the words of a task, and the layers that embed them.

    Attributes:
        tables: dict of input name to an array with a row for each word of the
            lexicon, from which `data.Examples` makes the inputs.
        facts: dict, for the metrics of a run.
        makers: dict of input name to a function that returns a new layer.
    """

    tables: dict
    facts: dict
    makers: dict

    def layers(self):
        """Returns new layers that embed the inputs, by input name."""
        return {name: make() for name, make in self.makers.items()}


def check_features(options):
    """Refuses missing files and a damaged ELMo, before any work.

    Args:
        options: `FeatureOptions`.

    Raises:
        ValueError: if a file is not given, missing or damaged.
    """
    for kind in options.features.split("+"):
        for name in FILES[kind]:
            path = getattr(options, name)
            if path is None or not path.is_file():
                raise ValueError(
                    f"--features {kind} reads a file: "
                    f"--{name.replace('_', '-')} FILE. Received: {name}={path}"
                )
    if "elmo" in options.features:
        data.load_elmo(options.elmo_options, options.elmo_weights)


def load_features(options, words):
    """Reads the features of the words of a task.

    Args:
        options: `FeatureOptions`.
        words: list of str, those of a `data.Lexicon`.

    Returns:
        `Features`.
    """
    loaders = {"glove": load_word_vectors, "elmo": load_elmo}
    features = Features({}, {}, {})
    for kind in options.features.split("+"):
        part = loaders[kind](options, words)
        features.tables |= part.tables
        features.facts |= part.facts
        features.makers |= part.makers
    return features


def load_word_vectors(options, words):
    """Reads frozen word vectors; words without one share row 1, zeros.

    Returns:
        `Features` of `word_ids`, int32.

    Raises:
        ValueError: no word has a vector, or the file is damaged.
    """
    vocabulary = ["<pad>", "<unk>", *words[1:]]
    read = data.read_word_vectors(options.vectors, vocabulary)
    found = int(read.found[2:].sum())
    print(f"{found:,} of {len(words) - 1:,} words have a vector.")
    if not found:
        raise ValueError(
            "No word of the task has a vector: is it the right file? "
            f"Received: vectors={options.vectors}"
        )
    rows = np.where(read.found, np.cumsum(read.found) + 1, 1)
    width = read.vectors.shape[1]
    kept = np.concatenate(
        [np.zeros((2, width), "float32"), read.vectors[read.found]]
    )
    vectors = data.WordVectors(kept, kept.any(axis=1))
    return Features(
        {"word_ids": np.append(0, rows[2:]).astype("int32")},
        {
            "words": len(words) - 1,
            "words_with_vector": found,
            "vector_width": width,
        },
        {"word_ids": lambda: vectors.embedding(name="word_embedding")},
    )


def load_elmo(options, words):
    """Spells the words for the frozen layers of a published ELMo.

    Returns:
        `Features` of `char_ids`, int32, 0 for padding.
    """
    files = options.elmo_options, options.elmo_weights
    model = data.load_elmo(*files).language_model
    ids = data.elmo_char_ids([words], max_characters=model.max_characters)[0]
    ids[0] = 0  # padding
    return Features(
        {"char_ids": ids},
        {
            "elmo_width": 2 * model.projection_dim,
            "elmo_parameters": model.count_params(),
        },
        {"char_ids": lambda: data.load_elmo(*files, name="elmo")},
    )
