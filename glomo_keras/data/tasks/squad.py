"""SQuAD 1.1: questions on paragraphs, from the official files or from TFDS."""

import collections
import dataclasses
import pathlib

import numpy as np

from glomo_keras.data.tfds_examples import TfdsExamples
from glomo_keras.utils import files

_FILE_NAMES = {"train": "train-v1.1.json", "dev": "dev-v1.1.json"}
_KINDS = {
    str: "a string",
    int: "an integer",
    list: "a list",
    (str, int): "a string or an integer",
}
_TFDS_SPLITS = {"train": "train", "dev": "validation"}


@dataclasses.dataclass(frozen=True)
class SquadQuestions:
    """Holds questions, each on one of the contexts, with reference answers.

    Attributes:
        contexts: list of str, untouched.
        context_of: list of N ints, the context of each question.
        ids: list of N str.
        questions: list of N str.
        answers: list of N lists of at least one `(text, start)`: the answer
            and the code point of the context where it starts.
        source: str, the file or TFDS split they come from.
    """

    contexts: list
    context_of: list
    ids: list
    questions: list
    answers: list
    source: str = ""

    def __len__(self):
        return len(self.ids)

    def take(self, indices):
        """Returns the questions at the given indices, as `SquadQuestions`."""
        numbers = {}
        for index in indices:
            numbers.setdefault(self.context_of[index], len(numbers))
        return dataclasses.replace(
            self,
            contexts=[self.contexts[i] for i in numbers],
            context_of=[numbers[self.context_of[i]] for i in indices],
            ids=[self.ids[i] for i in indices],
            questions=[self.questions[i] for i in indices],
            answers=[self.answers[i] for i in indices],
        )

    def split(self, number, seed):
        """Splits the questions in two parts that share no context.

        Args:
            number: int, questions of the second part; as many more as its
                last context has.
            seed: int.

        Returns:
            Two `SquadQuestions`.

        Raises:
            ValueError: If a part would be empty.
        """
        order = np.random.default_rng(seed).permutation(len(self.contexts))
        counts = np.bincount(self.context_of, minlength=len(order))[order]
        last = int(np.searchsorted(np.cumsum(counts), number))
        if number < 1 or last + 1 >= len(order):
            raise ValueError(
                f"{self.source}: {len(self)} questions on {len(order)} "
                f"contexts cannot be split so. Received: number={number}"
            )
        held_out = set(order[: last + 1].tolist())
        second = np.array([c in held_out for c in self.context_of])  # (N,)
        return tuple(
            self.take(np.flatnonzero(part).tolist())
            for part in (~second, second)
        )

    def misplaced(self):
        """Finds the answers that are not where the file says.

        Returns:
            List of `(id, text, start)`.
        """
        found = []
        for index, answers in enumerate(self.answers):
            context = self.contexts[self.context_of[index]]
            for text, start in answers:
                if not stands_at(context, text, start):
                    found.append((self.ids[index], text, start))
        return found

    def num_repeated_ids(self):
        """Returns how many questions have the id of an earlier one."""
        return len(self.ids) - len(set(self.ids))


def stands_at(context, text, start):
    """Returns whether a context has a non-empty answer at a place."""
    return start >= 0 and text != "" and context.startswith(text, start)


def read_squad(data_dir=None, tfds=None):
    """Reads train and dev of SQuAD 1.1.

    Args:
        data_dir: folder with `train-v1.1.json` and `dev-v1.1.json`; with `tfds`
            the folder of prepared data sets. Defaults to `None`.
        tfds: str or None, the name of a TFDS data set, `"squad"`. Defaults to
            `None`.

    Returns:
        Dict of `SquadQuestions`: `train` and `dev`.

    Raises:
        FileNotFoundError: If a file is missing; the message has its name.
        ValueError: As `read_squad_file` and `read_squad_tfds`.
    """
    if tfds is not None:
        return {
            part: read_squad_tfds(f"tfds:{tfds}:{split}", data_dir)
            for part, split in _TFDS_SPLITS.items()
        }
    if data_dir is None:
        raise ValueError(
            "SQuAD is read from a folder (data_dir) or from TFDS (tfds). "
            "Received: data_dir=None, tfds=None"
        )
    paths = {
        part: pathlib.Path(data_dir) / name
        for part, name in _FILE_NAMES.items()
    }
    for path in paths.values():
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no file {path}. Give the folder that holds "
                f"{' and '.join(_FILE_NAMES.values())}. "
                f"Received: data_dir={str(data_dir)!r}"
            )
    return {part: read_squad_file(path) for part, path in paths.items()}


def read_squad_file(path):
    """Reads one official file, such as `dev-v1.1.json`.

    Args:
        path: the file.

    Returns:
        `SquadQuestions`, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file has another schema, such as SQuAD 2.0's; the
            message names the file, the place in it and the fault.

    Example:

    >>> import json, pathlib
    >>> question = {"id": "q1", "question": "What is red?",
    ...             "answers": [{"text": "rose", "answer_start": 2}]}
    >>> paragraph = {"context": "A rose is red.", "qas": [question]}
    >>> _ = pathlib.Path("dev.json").write_text(
    ...     json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    >>> read_squad_file("dev.json").answers
    [[('rose', 2)]]
    """
    content = files.read_json(path)
    collected = _Collector(path)
    for place, article in _members(path, content, "data"):
        for place_, paragraph in _members(place, article, "paragraphs"):
            context = _field(place_, paragraph, "context", str)
            for where, question in _members(place_, paragraph, "qas"):
                collected.add(
                    where,
                    context,
                    str(_field(where, question, "id", (str, int))),
                    _field(where, question, "question", str),
                    _answers(where, question),
                )
    return collected.questions()


def read_squad_tfds(spec, data_dir=None):
    """Reads one split from TFDS (`squad`).

    Args:
        spec: str, such as `"tfds:squad:validation"`.
        data_dir: str or None, the folder of prepared data sets. Defaults to
            `None`.

    Returns:
        `SquadQuestions`, in the order stored.

    Raises:
        ValueError: If the features are not `id`, `context`, `question` and
            `answers`, or a question has no answer.
        ImportError, FileNotFoundError: As `open_corpus` with such a spec.
    """
    names = ("id", "context", "question", "answers")
    collected = _Collector(spec)
    for index, example in enumerate(TfdsExamples(spec, names, data_dir)):
        name, context, question = (
            example[key].decode("utf-8", "replace") for key in names[:3]
        )
        answers = example["answers"]
        pairs = [
            (text.decode("utf-8", "replace"), int(start))
            for text, start in zip(
                answers["text"], answers["answer_start"], strict=True
            )
        ]
        place = f"{spec}, example {index}"
        collected.add(place, context, name, question, pairs)
    return collected.questions()


class _Collector:
    """Collects questions for `SquadQuestions`; equal contexts become one."""

    def __init__(self, source):
        self.source = str(source)
        self.contexts = {}
        self.columns = collections.defaultdict(list)

    def add(self, place, context, name, question, answers):
        if not answers:
            raise ValueError(
                f"{place}: every question of SQuAD 1.1 has an answer; SQuAD "
                f"2.0 has others. Received: no answer for {name!r}"
            )
        number = self.contexts.setdefault(context, len(self.contexts))
        self.columns["context_of"].append(number)
        self.columns["ids"].append(name)
        self.columns["questions"].append(question)
        self.columns["answers"].append(answers)

    def questions(self):
        if not self.columns:
            raise ValueError(f"{self.source} has no question.")
        return SquadQuestions(
            list(self.contexts), source=self.source, **self.columns
        )


def _members(place, parent, name):
    """Yields the place and the value of each member of a list."""
    for index, member in enumerate(_field(place, parent, name, list)):
        yield f"{place}, {name}[{index}]", member


def _field(place, parent, name, kind):
    """Returns a field of an object, which must be there and of a kind."""
    if not isinstance(parent, dict) or name not in parent:
        found = sorted(parent) if isinstance(parent, dict) else type(parent)
        raise ValueError(
            f"{place}: SQuAD has an object with a field {name!r} here. "
            f"Received: {found}"
        )
    value = parent[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(
            f"{place}: {name!r} must be {_KINDS[kind]}. "
            f"Received: {name}={value!r:.60}"
        )
    return value


def _answers(place, question):
    return [
        tuple(
            _field(where, answer, name, kind)
            for name, kind in (("text", str), ("answer_start", int))
        )
        for where, answer in _members(place, question, "answers")
    ]
