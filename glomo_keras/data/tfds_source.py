"""TensorFlow Datasets as sources of texts."""

import os
import re

_SPEC = re.compile(
    r"tfds:(?P<name>[^:]+)(?::(?P<version>\d+\.\d+\.\d+))?"
    r"(?::(?P<split>.+))?"
)


class TfdsSource:
    """The `"text"` feature of one split of a TFDS dataset.

    Prepared files are opened straight from `data_dir`, so neither the
    dataset's builder class nor a network is needed.

    Args:
        spec: str, `tfds:NAME[/CONFIG][:VERSION][:SPLIT]`. The split is
            `"train"` unless given, the version the newest one prepared.
        data_dir: str or None, the folder of prepared datasets; None is
            `TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
        download: bool. Whether to download and prepare what is not there.

    Raises:
        ImportError: without `tensorflow-datasets`.
        FileNotFoundError: if the dataset is not prepared.
        ValueError: if the spec cannot be read, the split does not exist, or
            there is no feature `"text"`.
    """

    def __init__(self, spec, data_dir=None, download=False):
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise ValueError(
                "A TFDS spec reads 'tfds:NAME[/CONFIG][:VERSION][:SPLIT]'. "
                f"Received: {spec!r}"
            )
        self.name = spec
        self._split = match["split"] or "train"
        self._builder = _open_builder(
            spec, match["name"], match["version"], data_dir, download
        )
        self._check_text()
        self._num_examples = self._count_examples()

    def signature(self):
        """Return what tells this state of the dataset from any other."""
        folder = os.path.abspath(str(self._builder.data_path))
        return [folder, self._split, self._num_examples]

    def texts(self):
        """Yield `(text, True)` for each example, in the stored order."""
        import tensorflow_datasets as tfds

        dataset = self._builder.as_dataset(
            split=self._split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding({"text"}),
        )
        for example in tfds.as_numpy(dataset):
            yield example["text"].decode("utf-8", "replace"), True

    def _check_text(self):
        features = self._builder.info.features
        if "text" not in features:
            raise ValueError(
                f"{self.name} has no feature 'text'. "
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


def _open_builder(spec, name, version, data_dir, download):
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"{spec} needs the package tensorflow-datasets: "
            "pip install tensorflow-datasets"
        ) from error
    root = os.path.expanduser(
        data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    )
    folder = _prepared_folder(os.path.join(root, name), version)
    if folder is not None:
        return tfds.builder_from_directory(folder)
    if not download:
        raise FileNotFoundError(
            f"{spec} is not prepared in {os.path.join(root, name)}. Prepare "
            "it with `tfds build`, give its folder as data_dir, or allow "
            f"download=True. Received: data_dir={data_dir!r}"
        )
    full_name = f"{name}:{version}" if version else name
    builder = tfds.builder(full_name, data_dir=root)
    builder.download_and_prepare()
    return builder


def _prepared_folder(folder, version):
    """Return the newest prepared version below a folder, or None."""
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
