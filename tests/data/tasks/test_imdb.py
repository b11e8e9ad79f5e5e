"""Readers of IMDB's reviews."""

import warnings

import numpy as np
import pytest

from glomo_keras.data import read_imdb
from glomo_keras.data import read_imdb_file
from glomo_keras.data import read_imdb_tfds


def write_reviews(root, **texts):
    """`neg=["..."]`: files of one label, in both splits."""
    for split in ("train", "test"):
        for label, reviews in texts.items():
            folder = root / split / label
            folder.mkdir(parents=True)
            for number, text in enumerate(reviews):
                path = folder / f"{number}_{1 + 7 * (label == 'pos')}.txt"
                path.write_text(text, "utf-8")
    return root


@pytest.fixture
def folder(tmp_path):
    negative = [f"bad {n}" for n in range(12)]
    return write_reviews(
        tmp_path / "aclImdb", neg=negative, pos=["Café<br /><br />!", "", "x"]
    )


def test_official_folders_are_read_in_the_order_of_their_numbers(folder):
    for root in (folder, folder.parent):
        reviews = read_imdb(root, "train")
        assert len(reviews) == 15
        assert reviews.texts[:3] == ["bad 0", "bad 1", "bad 2"]
        assert reviews.ids[10:14] == ["neg/10_1", "neg/11_1", "pos/0_8"] + [
            "pos/1_8"
        ]
        assert reviews.texts[12:] == ["Café  !", "", "x"]
        assert reviews.labels.tolist() == [0] * 12 + [1] * 3
        assert reviews.labels.dtype == "int32"


def test_hidden_files_are_left_out(folder):
    (folder / "train/neg/._0_1.txt").write_bytes(b"\xff")
    (folder / "train/neg/.ipynb_checkpoints").mkdir()
    assert len(read_imdb(folder, "train")) == 15


def test_a_csv_file_is_read(tmp_path):
    path = tmp_path / "IMDB Dataset.csv"
    rows = ['"Café<br />""so""\nit is",positive', "x,negative", "y,positive"]
    rows += ["z,positive", "w,negative"]
    path.write_text("review,sentiment\n" + "\n".join(rows), "utf-8-sig")
    reviews = read_imdb_file(path)
    assert reviews.texts == ['Café "so"\nit is', "x", "y", "z", "w"]
    assert reviews.labels.tolist() == [1, 0, 1, 1, 0]
    assert read_imdb(path, "train").texts == reviews.texts[:2]
    assert read_imdb(path, "test").texts == reviews.texts[2:]
    path.write_text("text,label\nx,1\ny,0\n")
    assert read_imdb_file(path).labels.tolist() == [1, 0]


def test_a_csv_file_sorted_by_label_is_refused(tmp_path):
    path = tmp_path / "sorted.csv"
    rows = 4 * ["x,negative"] + 4 * ["y,positive"]
    path.write_text("review,sentiment\n" + "\n".join(rows))
    with pytest.raises(ValueError, match=r"shuffle.*train has \['neg'\]"):
        read_imdb(path, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text,label\nI, too,1\n", r"line 2: .*more cells.*Received: \['1'\]"),
        (b'text,label\n"I,1\n0,"Bad"\n1,x\n', "line 2: .*expected after"),
        (b"review,sentiment\nx,good\n", "line 2: .*sentiment='good'"),
        (b"review,sentiment\nx\n", "line 2: .*sentiment=None"),
        (b"id,review\n1,x\n", r"line 1: the columns.*\['id', 'review'\]"),
        (b"review,sentiment\ncaf\xe9,neg\n", "line 2: .*utf-8"),
        (b"review,sentiment\n", "no review"),
        (b"", "line 1: the columns"),
    ],
)
def test_a_bad_csv_file_is_named(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_imdb_file(path)
    assert "a.csv" in str(caught.value)


@pytest.mark.parametrize("name", ["reviews.csv", "aclImdb"])
def test_other_splits_are_refused(folder, name, tmp_path):
    (tmp_path / "reviews.csv").write_text("review,sentiment\ngood,pos\n")
    with pytest.raises(ValueError, match="split='validation'"):
        read_imdb(tmp_path / name, "validation")


def test_a_share_of_each_label_is_held_out(folder):
    reviews = read_imdb(folder, "train")
    first, second = reviews.split(1 / 3, seed=1)
    assert np.bincount(second.labels).tolist() == [4, 1]
    assert sorted(first.ids + second.ids) == sorted(reviews.ids)
    assert reviews.split(1 / 3, seed=1)[1].ids == second.ids
    assert reviews.split(1 / 3, seed=2)[1].ids != second.ids


def test_bad_folders_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*train/neg"):
        read_imdb(tmp_path / "elsewhere", "train")
    (folder / "train/neg/README").write_text("no review")
    with pytest.raises(ValueError, match="NUMBER_STARS.txt.*neg/README"):
        read_imdb(folder, "train")
    (folder / "test/pos/7_9.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="Not UTF-8.*7_9.txt"):
        read_imdb(folder, "test")
    empty = write_reviews(tmp_path / "empty", neg=[], pos=["x"])
    with pytest.raises(ValueError, match="no review.*train/neg"):
        read_imdb(empty, "train")
    one = write_reviews(tmp_path / "one", neg=["x"], pos=["x"])
    with pytest.raises(ValueError, match="too few reviews"):
        read_imdb(one, "train").split(0.1, seed=0)
    with pytest.raises(ValueError, match="fraction=1.0"):
        read_imdb(one, "train").split(1.0, seed=0)


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    """Prepared data sets, one of them with a label out of range."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing tfds warns
        tfds = pytest.importorskip("tensorflow_datasets")

        class TinyReviews(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")
            LABELS = (1, 0, 1)

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(
                        {"text": tfds.features.Text(), "label": np.int64}
                    ),
                )

            def _split_generators(self, dl_manager):
                return {"train": self._generate_examples()}

            def _generate_examples(self):
                for number, label in enumerate(self.LABELS):
                    yield number, {"text": f"é {label}", "label": label}

        class WrongReviews(TinyReviews):
            LABELS = (1, -1)

        folder = tmp_path_factory.mktemp("tfds")
        for builder in (TinyReviews, WrongReviews):
            builder(data_dir=str(folder)).download_and_prepare()
        return folder


def test_a_prepared_tfds_data_set_is_read(tfds_folder):
    reviews = read_imdb_tfds("train", "tiny_reviews", tfds_folder)
    assert sorted(reviews.texts) == ["é 0", "é 1", "é 1"]
    labels = [int(text[-1]) for text in reviews.texts]
    assert reviews.labels.tolist() == labels
    assert reviews.ids == ["0", "1", "2"]
    with pytest.raises(ValueError, match="label=-1 in example"):
        read_imdb_tfds("train", "wrong_reviews", tfds_folder)
    with pytest.raises(ValueError, match="split='test'"):
        read_imdb_tfds("test", "tiny_reviews", tfds_folder)
