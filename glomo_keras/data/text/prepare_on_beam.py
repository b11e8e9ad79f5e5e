"""Tokenises a corpus on many machines, by Apache Beam."""

import collections

from glomo_keras.data import beam_jobs
from glomo_keras.data.part_files import write_part
from glomo_keras.data.text import vocabulary as vocabulary_lib
from glomo_keras.data.text.corpus_plan import CorpusPlan
from glomo_keras.data.text.token_ids import IdsWriter
from glomo_keras.data.text.token_ids import count_words
from glomo_keras.data.text.token_ids import ids_are_good
from glomo_keras.data.text.token_ids import ids_folder
from glomo_keras.data.text.token_ids import places
from glomo_keras.utils.validation import check_rate


def prepare_on_beam(
    spec,
    cache_dir,
    beam_options=(),
    validation_fraction=0.01,
    seed=0,
    **options,
):
    """Does what `prepare_corpus` does, as a job of Apache Beam.

    Both write the same files, byte for byte, whatever the runner and the
    number of workers, and each opens or goes on with what the other wrote.
    The workers tokenise the parts of the corpus, count the words and map them
    to ids; all of them must reach the sources and `cache_dir` by the same
    paths (a shared file system), and have this package installed. Work that
    fails is tried again, three times here and as often as the runner does: a
    file is replaced as a whole by the same file, so no word is counted twice.
    A job that was killed goes on with the parts that are missing.

    Args:
        spec, cache_dir: See `prepare_corpus`.
        beam_options: Sequence of str, Beam's own options, such as
            `["--runner", "FlinkRunner", "--flink_master", "host:8081"]`.
            Defaults to one process on this machine.
        validation_fraction, seed: See `prepare_corpus`.
        **options: What else `prepare_corpus` takes about the corpus:
            `vocabulary_size`, `lowercase`, `numbers`, `min_paragraph_words`,
            `texts`, `vocabulary`, `shard_words`, `data_dir`, `wiki`,
            `normalize_unicode`, `skip_broken`.

    Returns:
        A `TokenizedCorpus`.

    Raises:
        ImportError: If the package apache-beam is missing.
        FileNotFoundError, ValueError: See `prepare_corpus`. What a worker
            raises arrives as the runner reports it.

    Example:

    ```python
    corpus = prepare_on_beam(
        "wiki/*/wiki_*", "/shared/cache", ["--runner", "FlinkRunner"])
    ```
    """
    check_rate(validation_fraction=validation_fraction)
    pipeline = beam_jobs.make_pipeline(beam_options)
    plan = CorpusPlan(spec, cache_dir, **options)
    folder = ids_folder(
        plan.writer.folder, plan.vocabulary, plan.vocabulary_size
    )
    missing = plan.part_files.find()
    if missing or not ids_are_good(folder):
        build_pipeline(pipeline, plan, missing, folder)
        pipeline.run().wait_until_finish()
        plan.part_files.complete(plan.writer, plan.pieces)
    return plan.open(validation_fraction, seed)


def build_pipeline(pipeline, plan, missing, folder):
    """Adds the steps to a pipeline.

    Args:
        pipeline: `apache_beam.Pipeline`.
        plan: `CorpusPlan`.
        missing: List of int, the parts that are to be tokenised.
        folder: str, where the ids go.
    """
    import apache_beam as beam

    records = _records(pipeline, plan, missing)
    ordered = (
        records
        | "Gather" >> beam.combiners.ToList()
        | "Sort" >> beam.Map(_in_order)
    )
    writer = _vocabulary(pipeline, plan, records) | "StartIds" >> beam.Map(
        _start_ids, beam.pvalue.AsSingleton(ordered), plan.writer.folder, folder
    )
    unknown = (
        ordered
        | "Places" >> beam.FlatMap(_with_places)
        | "SpreadShards" >> beam.Reshuffle()
        | "WriteIds" >> beam.Map(_write_ids, beam.pvalue.AsSingleton(writer))
        | "SumUnknown" >> beam.CombineGlobally(sum)
    )
    unknown | "FinishIds" >> beam.Map(
        _finish_ids,
        beam.pvalue.AsSingleton(ordered),
        beam.pvalue.AsSingleton(writer),
        plan.writer.tokenizer_config,
    )


def _records(pipeline, plan, missing):
    """Writes the shards; returns records of all parts, `(number, record)`."""
    import apache_beam as beam

    part_files = plan.part_files
    done = [
        (number, record)
        for number, record in enumerate(part_files.records)
        if record is not None
    ]
    written = beam_jobs.spread_parts(
        pipeline, plan, missing
    ) | "Tokenise" >> beam.Map(_write_part, part_files.folder, plan.writer)
    done = pipeline | "PartsDone" >> beam.Create(done)
    return (done, written) | "AllParts" >> beam.Flatten()


def _vocabulary(pipeline, plan, records):
    """Returns one list of words: the given ones or the most frequent ones."""
    import apache_beam as beam

    if plan.vocabulary is not None:
        return pipeline | "Vocabulary" >> beam.Create([plan.vocabulary])
    return (
        records
        | "Shards" >> beam.FlatMap(lambda pair: pair[1]["files"])
        | "Count" >> beam.Map(count_words, plan.writer.folder)
        | "SumCounts" >> beam.CombineGlobally(_sum_counts)
        | "Vocabulary"
        >> beam.Map(vocabulary_lib.build_vocabulary, plan.vocabulary_size)
    )


def _write_part(part, folder, writer):
    number, plan, pieces = part
    record = beam_jobs.attempt(write_part, folder, writer, number, plan, pieces)
    words = sum(file["num_words"] for file in record["files"])
    beam_jobs.count("words", words)
    beam_jobs.count("broken_files", len(record["broken"]))
    return number, record


def _sum_counts(parts):
    counts = collections.Counter()
    for part in parts:
        counts.update(part)
    return counts


def _in_order(records):
    """Returns the records of all shards, in the order of the corpus."""
    records = sorted(records, key=lambda pair: pair[0])
    return [file for _, record in records for file in record["files"]]


def _start_ids(vocabulary, records, folder, ids_folder):
    writer = IdsWriter(folder, ids_folder, vocabulary)
    writer.start(records)
    return writer


def _with_places(records):
    return list(zip(records, places(records), strict=True))


def _write_ids(shard, writer):
    record, place = shard
    return beam_jobs.attempt(writer.write, record, *place)


def _finish_ids(num_unknown, records, writer, tokenizer_config):
    writer.finish(records, num_unknown, tokenizer_config)
