"""A corpus as token ids on disk: prepared once, opened at once afterwards."""

import os

import numpy as np

from glomo_keras.data.text.token_ids import ID_FILES
from glomo_keras.data.text.token_stream import split_texts
from glomo_keras.utils import files
from glomo_keras.utils.validation import check_rate


class TokenizedCorpus:
    """Opens the token ids of a prepared corpus, memory-mapped.

    Args:
        path: str, the folder that `prepare_corpus` wrote.
        validation_fraction: float in [0, 1). This share of the *texts*, at
            least one, is held out, chosen by `seed` and the text's number
            alone. A corpus of a single text holds out its end. Defaults to
            0.01.
        seed: int. Defaults to 0.

    Raises:
        FileNotFoundError: If nothing was prepared at `path`.
        ValueError: If `validation_fraction` is out of range.

    Attributes:
        path: str, the folder.
        vocabulary: List of str, the position is the id.
        tokenizer_config: Dict of the options of the `WordTokenizer`, or None
            if an earlier version prepared the corpus.
        train, validation: `TokenStream`.
        num_words: int, in both streams together.
        unknown_rate: float, the share of words outside the vocabulary.
    """

    def __init__(self, path, validation_fraction=0.01, seed=0):
        check_rate(validation_fraction=validation_fraction)
        self.path = str(path)
        manifest = files.read_json_or_none(os.path.join(path, "manifest.json"))
        if manifest is None:
            raise FileNotFoundError(
                "No prepared corpus here: manifest.json is missing or "
                f"damaged. Received: path={str(path)!r}"
            )
        self.tokenizer_config = manifest.get("tokenizer")
        self.num_words = manifest["num_words"]
        self.unknown_rate = manifest["num_unknown"] / self.num_words
        names = [os.path.join(path, name) for name in ID_FILES]
        self.vocabulary = files.read_vocabulary(names[0])
        token_ids = np.load(names[1], mmap_mode="r")
        lengths = np.load(names[2])
        self.train, self.validation = split_texts(
            token_ids, lengths, validation_fraction, seed
        )
