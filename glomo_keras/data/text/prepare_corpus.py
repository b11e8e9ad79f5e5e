"""Tokenises a corpus on this machine."""

from glomo_keras.data.text.corpus_plan import CorpusPlan
from glomo_keras.utils.validation import check_positive
from glomo_keras.utils.validation import check_rate
from glomo_keras.utils.workers import Workers


def prepare_corpus(
    spec,
    cache_dir,
    vocabulary_size=20000,
    lowercase=True,
    numbers="N",
    min_paragraph_words=None,
    texts="auto",
    validation_fraction=0.01,
    vocabulary=None,
    seed=0,
    shard_words=2_000_000,
    data_dir=None,
    wiki=None,
    normalize_unicode=True,
    progress=True,
    num_processes=1,
    skip_broken=False,
):
    """Tokenises a corpus on disk, or opens it if that was done before.

    Pass 1 reads the sources part by part, cleans and tokenises them and
    writes shards; a run that was killed goes on with the parts that are
    missing, and a damaged shard is rebuilt. Pass 2 counts, makes the
    vocabulary and writes all ids to one file. Memory holds a shard for each
    process and the counts of the word types. Sources (path, size, time) and
    options name the folder below `cache_dir`, so that changing any of them
    starts afresh, while another vocabulary reuses the shards.

    What is written depends on the sources and the options alone, not on the
    number of processes; `prepare_on_beam` writes the same on many machines.

    Args:
        spec: What `open_corpus` takes, or a `Corpus`, which has its options.
        cache_dir: The folder for everything that is written.
        vocabulary_size: int, the most entries, `<pad>` and `<unk>` included.
            Defaults to 20,000.
        lowercase: See `WordTokenizer`. Defaults to True.
        numbers: See `WordTokenizer`. Defaults to `"N"`.
        min_paragraph_words, texts: See `open_corpus`. Defaults to None, which
            means 5 or what the `Corpus` has, and `"auto"`.
        validation_fraction, seed: See `TokenizedCorpus`. Defaults to 0.01
            and 0.
        vocabulary: List of str to use instead of counting, or None. Defaults
            to None.
        shard_words: int, the most words of a shard, give or take a text.
            Defaults to two million.
        data_dir, wiki: See `open_corpus`. Both default to None.
        normalize_unicode: See `WordTokenizer`. Defaults to True.
        progress: Whether to show a progress bar. Defaults to True.
        num_processes: int, how many processes work. With more than one, a
            script needs `if __name__ == "__main__":`. Defaults to 1.
        skip_broken: Whether to go on after a file that is broken (packed and
            damaged, no text, a table) with the next one; the texts before the
            fault count. A warning names and counts such files, now and
            whenever the corpus is opened. Defaults to False: a broken file is
            an error.

    Returns:
        A `TokenizedCorpus`.

    Raises:
        FileNotFoundError: If a source does not exist.
        ValueError: If nothing usable is found, a file is broken, or an
            argument is wrong.
        RuntimeError: If one of several processes was killed.

    Example:

    ```python
    corpus = prepare_corpus("wiki/AA/wiki_*", "~/.cache/glomo")
    sampler = WindowSampler(corpus.train, batch_size=32)
    ```
    """
    check_positive(num_processes=num_processes)
    check_rate(validation_fraction=validation_fraction)
    plan = CorpusPlan(
        spec,
        cache_dir,
        vocabulary_size=vocabulary_size,
        lowercase=lowercase,
        numbers=numbers,
        min_paragraph_words=min_paragraph_words,
        texts=texts,
        vocabulary=vocabulary,
        shard_words=shard_words,
        data_dir=data_dir,
        wiki=wiki,
        normalize_unicode=normalize_unicode,
        skip_broken=skip_broken,
    )
    title = "tokenising" if progress else None
    with Workers(num_processes) as workers:
        plan.part_files.complete(plan.writer, plan.pieces, title, workers)
        return plan.open(validation_fraction, seed, workers)
