"""TensorFlow Datasets as sources of texts."""

from glomo_keras.data.tasks.tfds_examples import TfdsExamples


class TfdsSource:
    """The `"text"` feature of one split of a TFDS dataset.

    Args:
        spec, data_dir, download: of `TfdsExamples`.

    Raises:
        ImportError, FileNotFoundError, ValueError: as `TfdsExamples`.
    """

    def __init__(self, spec, data_dir=None, download=False):
        self.name = spec
        self._examples = TfdsExamples(spec, ("text",), data_dir, download)

    def signature(self):
        """Return what tells this state of the dataset from any other."""
        return self._examples.signature()

    def texts(self):
        """Yield `(text, True)` for each example, in the stored order."""
        for example in self._examples:
            yield example["text"].decode("utf-8", "replace"), True
