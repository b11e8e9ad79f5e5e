"""Reads the examples of one split of a TensorFlow Datasets data set."""

import os
import re

_SPEC = re.compile(
    r"tfds:(?P<name>[^:]+)(?::(?P<version>\d+\.\d+\.\d+))?"
    r"(?::(?P<split>.+))?"
)


class TfdsExamples:
    """Reads some features of one split of a TFDS data set, one by one.

    Prepared files are opened straight from `data_dir`, so neither the
    dataset's builder class nor a network is needed. Iterating gives dicts of
    numpy values, in the stored order; the length is that of the split.

    Args:
        spec: str, `tfds:NAME[/CONFIG][:VERSION][:SPLIT]`. The split is
            `"train"` unless given, the version the newest one prepared.
        names: sequence of str, the features wanted.
        data_dir: str or None, the folder of prepared datasets; None is
            `TFDS_DATA_DIR`, else `~/tensorflow_datasets`. Defaults to `None`.

    Raises:
        ImportError: If `tensorflow-datasets` is missing.
        FileNotFoundError: If the dataset is not prepared.
        ValueError: If the spec cannot be read, the split does not exist, or
            a feature is missing.
    """

    def __init__(self, spec, names, data_dir=None):
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise ValueError(
                "A TFDS spec reads 'tfds:NAME[/CONFIG][:VERSION][:SPLIT]'. "
                f"Received: {spec!r}"
            )
        self.name = spec
        self.names = frozenset(names)
        self._split = match["split"] or "train"
        self._builder = _open_builder(
            spec, match["name"], match["version"], data_dir
        )
        self._check_features()
        self._num_examples = self._count_examples()

    def signature(self):
        """Returns a list that identifies this state of the data set."""
        folder = os.path.abspath(str(self._builder.data_path))
        states = sorted(
            [entry.name, entry.stat().st_size, entry.stat().st_mtime_ns]
            for entry in os.scandir(folder)
            if entry.is_file()
        )
        return [folder, self._split, self._num_examples, states]

    @property
    def features(self):
        """All features of the data set by name, also those not wanted."""
        return dict(self._builder.info.features)

    def __len__(self):
        return self._num_examples

    def __iter__(self):
        yield from self.read()

    def spans(self, num_bytes):
        """Returns parts of the split of about equal size.

        Args:
            num_bytes: int. A split that is itself a part of one, such as
                `train[:50%]`, stays whole.

        Returns:
            List of `(start, stop, size)`: the first two for `read`, the size
            in bytes.
        """
        count = self._num_examples
        size = getattr(self._builder.info.splits[self._split], "num_bytes", 0)
        if not size or size <= num_bytes or not self._split.isidentifier():
            return [(0, None, size or num_bytes)]
        step = max(1, num_bytes * count // size)
        return [
            (start, min(start + step, count), num_bytes)
            for start in range(0, count, step)
        ]

    def read(self, start=0, stop=None):
        """Yields the examples of one of the `spans`, all by default.

        Args:
            start, stop: int or None, counted in examples. Parts are in the
                order of the files, one file after the other.
        """
        import tensorflow_datasets as tfds

        split, config = self._split, None
        if stop is not None:
            split = f"{split}[{start}:{stop}]"
            config = tfds.ReadConfig(interleave_cycle_length=1)
        dataset = self._builder.as_dataset(
            split=split,
            shuffle_files=False,
            read_config=config,
            decoders=tfds.decode.PartialDecoding(set(self.names)),
        )
        yield from tfds.as_numpy(dataset)

    def _check_features(self):
        features = self._builder.info.features
        for name in sorted(self.names):
            if name not in features:
                raise ValueError(
                    f"{self.name} has no feature {name!r}. "
                    f"Received: features {sorted(features)}"
                )

    def _count_examples(self):
        splits = self._builder.info.splits
        try:
            return int(splits[self._split].num_examples)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{self.name}: splits are {sorted(splits)}. "
                f"Received: split={self._split!r}"
            ) from error


def _open_builder(spec, name, version, data_dir):
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"{spec} needs the package tensorflow-datasets: "
            "pip install tensorflow-datasets importlib_resources"
        ) from error
    root = os.path.expanduser(
        data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    )
    folder = _prepared_folder(os.path.join(root, name), version)
    if folder is None:
        raise FileNotFoundError(
            f"{spec} is not prepared in {os.path.join(root, name)}. Prepare "
            "it with `tfds build`, or give its folder as data_dir. "
            f"Received: data_dir={data_dir!r}"
        )
    return tfds.builder_from_directory(folder)


def _prepared_folder(folder, version):
    """Returns the newest prepared version below a folder, or None."""
    if not os.path.isdir(folder):
        return None
    found = [
        entry
        for entry in os.listdir(folder)
        if re.fullmatch(r"\d+\.\d+\.\d+", entry)
        and os.path.exists(os.path.join(folder, entry, "dataset_info.json"))
    ]
    found = [entry for entry in found if version in (None, entry)]
    if not found:
        return None
    newest = max(found, key=lambda v: [int(part) for part in v.split(".")])
    return os.path.join(folder, newest)
