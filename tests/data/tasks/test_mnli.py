import json
import warnings

import numpy as np
import pytest

from glomo_keras.data import read_mnli
from glomo_keras.data import read_mnli_file
from glomo_keras.data import read_mnli_tfds

ROW = {
    "gold_label": "neutral",
    "sentence1": "A dog runs.",
    "sentence2": "It's late.",
    "pairID": "1n",  # the official files have more fields than are read
}


def write(path, *rows):
    path.write_text("".join(json.dumps({**ROW, **row}) + "\n" for row in rows))
    return path


def test_official_lines_are_read_in_order(tmp_path):
    path = write(
        tmp_path / "a.jsonl",
        {"sentence1": "Café\u2028no line end."},
        {"gold_label": "-"},
        {"gold_label": "contradiction", "sentence2": ""},
        {"gold_label": "entailment"},
        {"gold_label": "-"},
    )
    path.write_bytes(path.read_bytes() + b"\n")  # a blank line at the end
    pairs = read_mnli_file(path)
    assert len(pairs) == 3
    assert pairs.num_dropped == 2
    assert pairs.premises == ["Café\u2028no line end.", *["A dog runs."] * 2]
    assert pairs.hypotheses == ["It's late.", "", "It's late."]
    assert pairs.labels.tolist() == [1, 2, 0]
    assert pairs.labels.dtype == "int32"
    assert pairs.source == str(path)


def test_a_byte_order_mark_is_dropped(tmp_path):
    path = write(tmp_path / "a.jsonl", {})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_mnli_file(path)) == 1


def test_tables_of_glue_are_read(tmp_path):
    header = "index\tsentence1\tsentence2\tlabel1\tgold_label"
    rows = ['0\t"A\tB.\tneutral\tneutral', "1\tC\t\t-\t-\r"]
    for name in ("train", "dev_matched", "dev_mismatched"):
        path = tmp_path / f"{name}.tsv"
        path.write_text("\n".join([header, *rows]), newline="")
    pairs = read_mnli(tmp_path)["matched"]
    assert (pairs.premises, pairs.hypotheses) == (['"A'], ["B."])
    assert pairs.labels.tolist() == [1] and pairs.num_dropped == 1
    path.write_text(f"{header}\n0\tA\tB\tneutral\n")
    with pytest.raises(ValueError, match="line 2: a row has 5 cells.*4 cells"):
        read_mnli_file(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"gold_label": "neu', "not a JSON object in UTF-8"),
        (b'{"gold_label": "\xff"}', "not a JSON object in UTF-8"),
        (b"index\tgold_label\tsentence1", "not a JSON object in UTF-8"),
        (b'{"context": "x", "qas": []}', r"Received: \['context', 'qas'\]"),
        (b"[1, 2]", "Received: list"),
        (b'{"gold_label": "maybe", "sentence1": "a", "sentence2": "b"}', "may"),
        (b'{"gold_label": 3, "sentence1": "a", "sentence2": "b"}', "Rec.*=3"),
        (b'{"gold_label": "-", "sentence1": null, "sentence2": ""}', "=None"),
    ],
)
def test_bad_line_is_named_with_its_file(tmp_path, line, message):
    path = write(tmp_path / "bad.jsonl", {}, {})
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(ValueError, match=rf"bad.jsonl, line 3: .*{message}"):
        read_mnli_file(path)


@pytest.mark.parametrize("rows", [[], [{"gold_label": "-"}]])
def test_file_without_a_labelled_pair_is_refused(tmp_path, rows):
    with pytest.raises(ValueError, match="no labelled pair.*Received: 0"):
        read_mnli_file(write(tmp_path / "a.jsonl", *rows))


def test_folder_gives_three_parts_whole_files_first(tmp_path):
    for name, label in [
        ("train", "entailment"),
        ("train_subset", "neutral"),
        ("dev_matched", "neutral"),
        ("dev_mismatched_subset", "contradiction"),
    ]:
        path = tmp_path / f"multinli_1.0_{name}.jsonl"
        write(path, {"gold_label": label})
    parts = read_mnli(tmp_path)
    assert {name: pairs.labels[0] for name, pairs in parts.items()} == {
        "train": 0,
        "matched": 1,
        "mismatched": 2,
    }
    (tmp_path / "multinli_1.0_dev_matched.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match="multinli_1.0_dev_matched.js"):
        read_mnli(tmp_path)
    with pytest.raises(ValueError, match="Received: data_dir=None"):
        read_mnli()


def test_split_shares_no_premise_and_follows_its_seed(tmp_path):
    rows = [{"sentence1": f"premise {n // 3}"} for n in range(60)]
    pairs = read_mnli_file(write(tmp_path / "a.jsonl", *rows))
    first, second = pairs.split(0.25, seed=1)
    assert len(second) == 15
    assert len(first) == 45
    assert not set(first.premises) & set(second.premises)
    assert second.premises == pairs.split(0.25, seed=1)[1].premises
    assert second.premises != pairs.split(0.25, seed=2)[1].premises


@pytest.mark.parametrize("fraction", [0.0, 1.0, 0.1, 0.9])
def test_split_without_two_parts_is_refused(tmp_path, fraction):
    pairs = read_mnli_file(write(tmp_path / "a.jsonl", {}, {}))
    with pytest.raises(ValueError, match="Received"):
        pairs.split(fraction, seed=0)


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    """A prepared data set with MNLI's splits, made without a network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tfds = pytest.importorskip("tensorflow_datasets")

        class TinyNli(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(
                        {
                            "premise": tfds.features.Text(),
                            "hypothesis": tfds.features.Text(),
                            "label": np.int32,
                        }
                    ),
                )

            def _split_generators(self, manager):
                return {
                    "train": self._generate_examples(0),
                    "validation_matched": self._generate_examples(1),
                    "validation_mismatched": self._generate_examples(2),
                    "test_matched": self._generate_examples(-1),
                }

            def _generate_examples(self, label):
                yield (
                    0,
                    {"premise": "Café", "hypothesis": "no", "label": label},
                )

        folder = tmp_path_factory.mktemp("tfds")
        TinyNli(data_dir=str(folder)).download_and_prepare()
    return str(folder)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tfds_gives_the_same_parts(tfds_folder):
    parts = read_mnli(tfds_folder, tfds="tiny_nli")
    assert [pairs.labels.tolist() for pairs in parts.values()] == [
        [0],
        [1],
        [2],
    ]
    assert parts["matched"].premises == ["Café"]
    assert parts["matched"].hypotheses == ["no"]
    assert parts["matched"].source == "tfds:tiny_nli:validation_matched"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tfds_faults_are_named(tfds_folder):
    with pytest.raises(ValueError, match="example 0.*Received: label=-1"):
        read_mnli_tfds("tfds:tiny_nli:test_matched", tfds_folder)
    with pytest.raises(FileNotFoundError, match="glue/mnli.* not prepared"):
        read_mnli(tfds_folder, tfds="glue/mnli")
