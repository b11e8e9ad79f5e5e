"""The features of a task's words: word vectors, ELMo, a pretrainer's."""

import dataclasses

import numpy as np

import glomo_keras as gk
from glomo_keras import data
from glomo_keras.models import presets
from recipes.common import fingerprint

FILES = {
    "glove": ("vectors",),
    "elmo": ("elmo_options", "elmo_weights"),
    "pretrained": ("pretrainer",),
}
"""Options of the files that each kind of features reads."""


@dataclasses.dataclass
class Features:
    """Inputs of the words of a task, and the layers that embed them.

    Attributes:
        tables: dict of input name to an array with a row for each word of the
            lexicon, from which `data.Examples` makes the inputs.
        facts: dict, for the metrics of a run.
        makers: dict of input name to a function that returns a new layer.
        checksums: dict, of the numbers that were read from files.
    """

    tables: dict
    facts: dict
    makers: dict
    checksums: dict = dataclasses.field(default_factory=dict)

    def layers(self):
        """Returns new layers that embed the inputs, by input name."""
        return {name: make() for name, make in self.makers.items()}


def check_features(options):
    """Refuses missing files and damaged models, before any work.

    Args:
        options: `FeatureOptions`.

    Raises:
        ValueError: If a file is not given, missing or damaged, or a
            pretrainer is another model.
    """
    kinds = options.features.split("+")
    for kind in kinds:
        for name in FILES[kind]:
            check_path(options, kind, name)
    if "elmo" in kinds:
        data.load_elmo(options.elmo_options, options.elmo_weights)
    if "pretrained" in kinds:
        read_pretrainer(options)
        data.WordTokenizer.from_preset(options.pretrainer)


def check_path(options, kind, name):
    """Refuses a kind of features whose file or folder is not there."""
    path, flag = getattr(options, name), name.replace("_", "-")
    what = "preset" if name == "pretrainer" else "file"
    if path is None or (what == "file" and not path.is_file()):
        raise ValueError(
            f"--features {kind} reads a {what}: --{flag} {what.upper()}. "
            f"Received: {name}={path}"
        )


def read_pretrainer(options):
    """Returns the `ContextPretrainer` of --pretrainer.

    Raises:
        ValueError: If it is another model, or the folder is damaged.
    """
    model = presets.load(options.pretrainer)
    if not isinstance(model, gk.ContextPretrainer):
        raise ValueError(
            "--pretrainer is a preset of a whole pretrainer of texts, such as "
            "OUT/pretrainer of recipes.pretrain.text; a graph predictor "
            "alone, such as OUT/preset, has no feature predictor. "
            f"Received: a {type(model).__name__} in "
            f"pretrainer={options.pretrainer}"
        )
    return model


def load_features(options, lexicon):
    """Reads the features of the words of a task.

    Args:
        options: `FeatureOptions`.
        lexicon: `data.Lexicon` of the words.

    Returns:
        `Features`.
    """
    loaders = {
        "glove": load_word_vectors,
        "elmo": load_elmo,
        "pretrained": load_pretrained,
    }
    features = Features({}, {}, {})
    for kind in options.features.split("+"):
        part = loaders[kind](options, lexicon)
        features.tables |= part.tables
        features.facts |= part.facts
        features.makers |= part.makers
        features.checksums |= part.checksums
    return features


def load_word_vectors(options, lexicon):
    """Reads frozen word vectors; words without one share row 1, zeros.

    Returns:
        `Features` of `word_ids`, int32.

    Raises:
        ValueError: If no word has a vector, or the file is damaged.
    """
    words = lexicon.words
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
    kept = np.pad(read.vectors[read.found], [(2, 0), (0, 0)])  # zeros first
    vectors = data.WordVectors(kept, kept.any(axis=1))
    return Features(
        {"word_ids": np.append(0, rows[2:]).astype("int32")},
        {
            "words": len(words) - 1,
            "words_with_vector": found,
            "vector_width": width,
        },
        {"word_ids": lambda: vectors.embedding(name="word_embedding")},
        fingerprint({"word_vectors": kept}),
    )


def load_elmo(options, lexicon):
    """Spells the words for the frozen layers of a published ELMo.

    Returns:
        `Features` of `char_ids`, int32, 0 for padding.
    """
    files = options.elmo_options, options.elmo_weights
    model = data.load_elmo(*files).language_model
    ids = data.elmo_char_ids(
        [lexicon.words], max_characters=model.max_characters
    )[0]
    ids[0] = 0  # padding
    return Features(
        {"char_ids": ids},
        {
            "elmo_width": 2 * model.projection_dim,
            "elmo_parameters": model.count_params(),
        },
        {"char_ids": lambda: data.load_elmo(*files, name="elmo")},
        fingerprint({path.name: np.fromfile(path, "uint8") for path in files}),
    )


def load_pretrained(options, lexicon):
    """Numbers the words for the frozen networks of a pretrainer.

    Returns:
        `Features` of `token_ids`, int32, which a graph predictor with the same
        vocabulary takes too.
    """
    model = read_pretrainer(options)
    networks = model.graph_predictor, model.feature_predictor
    tokenizer = data.WordTokenizer.from_preset(options.pretrainer)
    return Features(
        {"token_ids": lexicon.token_ids(tokenizer)},
        {"pretrained_width": 2 * networks[0].embedding_dim},
        {
            "token_ids": lambda: gk.models.PretrainedFeatures(
                *networks, name="pretrained_features"
            )
        },
    )
