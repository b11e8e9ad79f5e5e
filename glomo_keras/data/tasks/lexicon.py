"""The distinct words of a task, and its texts as numbers of them."""

import numpy as np
import tqdm

from glomo_keras.data.text.vocabulary import UNKNOWN_ID
from glomo_keras.data.text.word_tokenizer import WordTokenizer

CHUNK = 256


class Lexicon:
    """Numbers the words of all texts of a task.

    A text is tokenised once, cased. Each input that a model needs for a word
    (its id in a predictor's vocabulary, its row of word vectors, its
    characters) is a table with one row for each word, so that all inputs of a
    text align and take the memory of one. Number 0 is padding and stands for
    no word.

    Attributes:
        words: list of str, the words by number; `words[0]` is `""`.

    Example:

    >>> lexicon = Lexicon()
    >>> rows, _ = lexicon.add(["It is. It was."])
    >>> lexicon.words
    ['', 'It', 'is', '.', 'was']
    >>> rows[0]
    array([1, 2, 3, 1, 4, 3], dtype=int32)
    """

    def __init__(self):
        self.tokenizer = WordTokenizer(lowercase=False)
        self.words = [""]
        self._numbers = {b"": 0}

    def __len__(self):
        return len(self.words)

    def add(self, texts, max_length=None, description=None):
        """Tokenises texts and numbers the words that are new.

        Args:
            texts: sequence of str.
            max_length: int or None. Longer texts lose their end. Defaults to
                `None`.
            description: str for a progress bar, or None for none. Defaults to
                `None`.

        Returns:
            `(rows, offsets)`, lists with one array for each text: the numbers
            of its T words, int32 `(T,)`, and where they start and end in the
            text, in code points, int32 `(T, 2)`. T is 0 for a text without a
            word.
        """
        rows, offsets = [], []
        bar = tqdm.tqdm(
            total=len(texts), desc=description, disable=description is None
        )
        for start in range(0, len(texts), CHUNK):
            output = self.tokenizer.tokenize(list(texts[start : start + CHUNK]))
            tokens, places, splits = _flat(**output)
            numbers = self._number(tokens)
            rows += [x[:max_length] for x in np.split(numbers, splits)]
            offsets += [x[:max_length] for x in np.split(places, splits)]
            bar.update(len(splits) + 1)
        bar.close()
        return rows, offsets

    def add_words(self, texts):
        """Numbers the words of texts that are cut into words already.

        Args:
            texts: sequence of lists of str.

        Returns:
            List of int32 arrays `(T,)`.
        """
        return [self._number([w.encode() for w in text]) for text in texts]

    def _number(self, tokens):
        numbers = self._numbers
        for token in tokens:
            if token not in numbers:
                numbers[token] = len(numbers)
                self.words.append(token.decode("utf-8"))
        return np.fromiter(
            (numbers[token] for token in tokens), "int32", len(tokens)
        )

    def token_ids(self, tokenizer):
        """Returns each word's id in the vocabulary of a `WordTokenizer`.

        Args:
            tokenizer: that of a graph predictor, with its vocabulary.

        Returns:
            Int32 array, one id for each word; 0 for padding.
        """
        normal = np.asarray(tokenizer.normalize(self.words[1:]))
        ids = {
            token.encode(): index
            for index, token in enumerate(tokenizer.vocabulary)
        }
        found = [ids.get(_as_bytes(token), UNKNOWN_ID) for token in normal]
        return np.array([0, *found], dtype="int32")


def _flat(tokens, token_offsets):
    """Returns all tokens (bytes), all offsets, and where texts end."""
    if not isinstance(tokens, list):
        splits = tokens.row_splits.numpy()[1:-1]
        return tokens.flat_values.numpy(), token_offsets.values.numpy(), splits
    splits = np.cumsum([len(row) for row in tokens])[:-1]
    places = [place for row in token_offsets for place in row]
    return (
        [_as_bytes(token) for row in tokens for token in row],
        np.array(places, "int32").reshape(-1, 2),
        splits,
    )


def _as_bytes(token):
    return token if isinstance(token, bytes) else token.encode()
