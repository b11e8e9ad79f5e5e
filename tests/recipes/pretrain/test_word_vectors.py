"""Training word vectors on a small text."""

import numpy as np
import pytest

from glomo_keras import data
from recipes.pretrain import word_vectors as recipe

SENTENCES = [
    "The king rules his land and the queen rules her land.",
    "A cat drinks milk while another cat eats 1,000.5 fish.",
    "It is not Rare, it isn't.",
]


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(SENTENCES * 40 + ["Once only hapax legomenon."]))
    return path


def options(corpus, tmp_path, **kwargs):
    return recipe.Options(
        corpus=(str(corpus),),
        out=tmp_path / "made" / "vectors.txt",
        cache=tmp_path / "cache",
        **{"dim": 12, "epochs": 2, "min_paragraph_words": 1, **kwargs},
    )


def words_of(path):
    lines = path.read_text("utf-8").splitlines()
    return [line.split(" ")[0] for line in lines]


def test_file_is_what_the_tasks_read(corpus, tmp_path, capsys):
    path = recipe.train_word_vectors(options(corpus, tmp_path))
    words = words_of(path)
    # The tokens of the tasks, the most frequent first.
    assert words[0] == "the" or words[0] == "."
    assert {"n't", "1,000.5", "rare", "'"} & set(words) == {
        "n't",
        "1,000.5",
        "rare",
    }
    assert "hapax" not in words
    vocabulary = ["<pad>", "<unk>", "king", "n't", "Cat", "hapax"]
    read = data.read_word_vectors(path, vocabulary)
    assert read.found.tolist() == [False, False, True, True, True, False]
    assert read.vectors.shape == (6, 12)
    assert np.all(np.ptp(read.vectors[2:5], axis=0) > 0)
    assert f"{len(words)} vectors of 12 numbers" in capsys.readouterr().out
    assert [file.name for file in path.parent.iterdir()] == ["vectors.txt"]


def test_cased_words(corpus, tmp_path):
    path = recipe.train_word_vectors(
        options(corpus, tmp_path, lowercase=False, algorithm="cbow")
    )
    assert {"The", "the", "Rare"} <= set(words_of(path))
    assert "rare" not in words_of(path)


def test_one_thread_gives_the_same_numbers_again(corpus, tmp_path):
    made = options(corpus, tmp_path, overwrite=True)
    first = recipe.train_word_vectors(made).read_text()
    assert recipe.train_word_vectors(made).read_text() == first
    made.seed = 1
    assert recipe.train_word_vectors(made).read_text() != first


def test_more_epochs_bring_words_of_one_context_together(corpus, tmp_path):
    made = options(corpus, tmp_path, epochs=60, subsample=1.0, window=2)
    vocabulary = ["<pad>", "<unk>", "king", "queen", "milk"]
    read = data.read_word_vectors(
        recipe.train_word_vectors(made), vocabulary
    ).vectors[2:]
    read /= np.linalg.norm(read, axis=1, keepdims=True)
    king, queen, milk = read
    assert king @ queen > king @ milk


def test_long_texts_are_read_to_their_end(tmp_path):
    path = tmp_path / "long.txt"
    path.write_text(" ".join(f"w{i}" for i in range(35)) + "\n" + "a b c " * 4)
    made = options(path, tmp_path, min_count=1)
    corpus = recipe.load(made)
    texts = recipe.Texts(corpus, epochs=1, max_words=10)
    pieces = list(texts)
    texts.close()
    assert max(map(len, pieces)) == 10
    assert sum(map(len, pieces)) == corpus.num_words == 47
    assert pieces[3][:5] == [f"w{i}" for i in range(30, 35)]


def test_file_that_is_there_is_kept(corpus, tmp_path):
    made = options(corpus, tmp_path)
    made.out.parent.mkdir()
    made.out.write_text("precious")
    with pytest.raises(FileExistsError, match="--overwrite.*vectors.txt"):
        recipe.train_word_vectors(made)
    made.out = made.out.parent
    made.overwrite = True
    with pytest.raises(FileExistsError, match="made"):
        recipe.train_word_vectors(made)
    assert (made.out / "vectors.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dim", 0),
        ("epochs", 0),
        ("min_count", 0),
        ("workers", -1),
        ("learning_rate", 0.0),
        ("subsample", 2.0),
    ],
)
def test_numbers_out_of_range_are_refused_at_once(tmp_path, name, value):
    """Before the corpus, which is not there, is looked for."""
    made = options(tmp_path / "none", tmp_path, **{name: value})
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        recipe.train_word_vectors(made)


def test_corpus_without_frequent_words_is_refused(corpus, tmp_path):
    made = options(corpus, tmp_path, min_count=1000)
    with pytest.raises(ValueError, match="No word occurs 1000 times"):
        recipe.train_word_vectors(made)
    made.corpus = (str(tmp_path / "none"),)
    with pytest.raises(FileNotFoundError, match="No text file found"):
        recipe.train_word_vectors(made)
