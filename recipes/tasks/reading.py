"""How a model reads and answers the questions of SQuAD."""

import functools

import keras
import numpy as np
import tqdm

from glomo_keras import data
from glomo_keras.data.tasks.squad import stands_at
from glomo_keras.data.tasks.squad_metric import exact_match


class Reading:
    """Tokenised questions, with offsets into the untouched contexts.

    Args:
        questions: `data.SquadQuestions`.
        lexicon: `data.Lexicon` that numbers their words.
        name: name of the part, for the progress bars.

    Attributes:
        context_rows, question_rows: lists with an int array for each context
            and question, the numbers of its words.
        offsets: list with an int array `(T, 2)` for each context.
    """

    def __init__(self, questions, lexicon, name):
        self.questions = questions
        self.context_rows, self.offsets = lexicon.add(
            questions.contexts, description=f"{name}: contexts"
        )
        self.question_rows, _ = lexicon.add(
            questions.questions, description=f"{name}: questions"
        )

    def spans_of(self, index):
        """Returns the spans of tokens that cover a question's answers.

        Answers that are not where the file says are left out.
        """
        number = self.questions.context_of[index]
        context = self.questions.contexts[number]
        spans = [
            data.cover_span(self.offsets[number], start, start + len(text))
            for text, start in self.questions.answers[index]
            if stands_at(context, text, start)
        ]
        return [span for span in spans if span is not None]

    @functools.cached_property
    def spans(self):
        """The span that each question learns from, or None."""
        found = (self.spans_of(index) for index in range(len(self.questions)))
        return [spans[0] if spans else None for spans in found]

    def learnable(self, max_context=None):
        """Returns the questions whose answer lies within a length.

        Args:
            max_context: int, words of a context that are read. Defaults to
                None, all of them.

        Returns:
            List of indices.
        """
        limit = np.inf if max_context is None else max_context
        return [
            index
            for index, span in enumerate(self.spans)
            if span is not None and span[1] < limit
        ]

    def examples(
        self,
        tables,
        indices=None,
        max_context=None,
        max_question=None,
        few_lengths=False,
    ):
        """Makes the examples of some questions.

        Args:
            tables: of `data.Examples`.
            indices: sequence of ints, questions that have a span to learn.
                Defaults to None: all questions, without targets.
            max_context, max_question: ints, words that are read. Default to
                None, all of them.
            few_lengths: of `data.Examples`.

        Returns:
            `data.Examples` of `context` and `question`.
        """
        targets = None
        if indices is None:
            indices = range(len(self.questions))
        else:
            spans = np.array([self.spans[i] for i in indices], "int32")
            targets = dict(
                zip(("start_logits", "end_logits"), spans.T, strict=True)
            )
        contexts = [
            self.context_rows[self.questions.context_of[i]] for i in indices
        ]
        questions = [self.question_rows[i] for i in indices]
        texts = {
            "context": [row[:max_context] for row in contexts],
            "question": [row[:max_question] for row in questions],
        }
        return data.Examples(texts, tables, targets, few_lengths)

    def text(self, index, span):
        """Returns the text of a span, cut out of the untouched context."""
        number = self.questions.context_of[index]
        return data.span_text(
            self.questions.contexts[number], self.offsets[number], span
        )

    def answers(self, model, examples, batch_size, max_tokens, progress=False):
        """Answers all questions with a model.

        Args:
            model: a `SpanReader`.
            examples: `data.Examples` of all questions of this reading.
            batch_size: int.
            max_tokens: int, of the longest answer.
            progress: boolean, whether to show a bar. Defaults to False.

        Returns:
            Dict of question id to answer.
        """
        spans = np.zeros((len(examples), 2), "int64")
        batches = list(batches_by_length(examples.lengths, batch_size))
        for indices in tqdm.tqdm(batches, "answering", disable=not progress):
            inputs, _ = examples.take(indices)
            outputs = model.predict_on_batch(inputs)
            logits = outputs["start_logits"], outputs["end_logits"]
            spans[indices] = data.decode_spans(*logits, max_tokens)
        return {
            name: self.text(index, span)
            for index, (name, span) in enumerate(
                zip(self.questions.ids, spans.tolist(), strict=True)
            )
        }

    def oracle(self):
        """Returns the best answers that spans of tokens can give.

        Returns:
            Dict of question id to answer: a span that covers a reference
            answer, one that matches exactly if there is one.
        """
        best = {}
        for index, name in enumerate(self.questions.ids):
            texts = [self.text(index, span) for span in self.spans_of(index)]
            wanted = [text for text, _ in self.questions.answers[index]]
            exact = [
                text
                for text in texts
                if any(exact_match(text, answer) for answer in wanted)
            ]
            best[name] = (exact or texts or [""])[0]
        return best


def name_faults(name, questions, shown=5):
    """Prints answers that are not in their context, and repeated ids."""
    misplaced = questions.misplaced()
    if misplaced:
        print(
            f"{name}: {len(misplaced)} answers do not stand in their context "
            "where they are said to, and are not learned from:"
        )
        for identifier, text, start in misplaced[:shown]:
            print(f"  {identifier}: {text!r} at {start}")
    if questions.num_repeated_ids():
        print(
            f"{name}: {questions.num_repeated_ids()} questions have an id "
            "that an earlier one has; a file of predictions keeps the last."
        )


def batches_by_length(lengths, batch_size):
    """Yields batches of examples of similar length, smaller if they are long.

    The memory of self-attention grows with the square of the length.

    Args:
        lengths: int array `(N,)`.
        batch_size: int, for examples of up to 512 words.

    Yields:
        Int arrays, the examples of a batch.
    """
    order = np.argsort(lengths, kind="stable")
    most = batch_size * 512**2
    start = 0
    while start < len(order):
        size = batch_size
        while size > 1:
            longest = lengths[order[start : start + size][-1]]
            if size * longest**2 <= most:
                break
            size //= 2
        yield order[start : start + size]
        start += size


class ValidationAnswers(keras.callbacks.Callback):
    """Adds `val_exact_match` and `val_f1` to the logs of each epoch.

    Args:
        reading: `Reading`.
        examples: `data.Examples` of all its questions.
        batch_size, max_tokens: of `Reading.answers`.
    """

    def __init__(self, reading, examples, batch_size, max_tokens):
        super().__init__()
        self.reading = reading
        self.arguments = (examples, batch_size, max_tokens)

    def on_epoch_end(self, epoch, logs=None):
        answers = self.reading.answers(self.model, *self.arguments)
        scores = data.squad_scores(self.reading.questions, answers)
        logs |= {f"val_{name}": scores[name] for name in ("exact_match", "f1")}
