"""Runs work in parts as a job of Apache Beam, which is imported on demand."""

import logging
import time

from glomo_keras.data.lines import BrokenFile

ATTEMPTS = 3
PAUSE_SECONDS = 1.0


def make_pipeline(options):
    """Returns an empty pipeline.

    Args:
        options: Sequence of str, Beam's own options as on a command line,
            such as `["--runner", "FlinkRunner"]`. Without a runner, or with
            `DirectRunner`, the pipeline runs on this machine, in Beam's
            `FnApiRunner`: `--direct_num_workers` counts, which it does not for
            `PrismRunner`, Beam's first choice for a direct runner.

    Returns:
        `apache_beam.Pipeline`.

    Raises:
        ImportError: If the package apache-beam is missing.
    """
    try:
        import apache_beam as beam
        from apache_beam.options import pipeline_options
    except ImportError as error:
        raise ImportError(
            "This needs the package apache-beam: "
            "pip install 'glomo-keras[beam]'"
        ) from error
    parsed = pipeline_options.PipelineOptions(list(options))
    standard = parsed.view_as(pipeline_options.StandardOptions)
    if standard.runner in (None, "DirectRunner"):
        standard.runner = "FnApiRunner"
    return beam.Pipeline(options=parsed)


def spread_parts(pipeline, plan, missing):
    """Adds the parts that are to be done, spread over the workers.

    Args:
        pipeline: `apache_beam.Pipeline`.
        plan: `CorpusPlan` or `ExtractionPlan`.
        missing: List of int, the numbers of the parts.

    Returns:
        `PCollection` of `(number, plan of the part, pieces)`.
    """
    import apache_beam as beam

    todo = [
        (number, plan.part_files.plan[number], plan.pieces(number))
        for number in missing
    ]
    return (
        pipeline
        | "Parts" >> beam.Create(todo)
        | "SpreadParts" >> beam.Reshuffle()
    )


def attempt(function, *args):
    """Calls a function up to three times, until it succeeds.

    Most runners try a failed bundle again; Beam's runners for one machine do
    not. A broken file stays broken: it is not tried again.

    Args:
        function: What to call; a second call must do no harm.
        *args: Its arguments.

    Returns:
        What it returns.
    """
    for left in reversed(range(ATTEMPTS)):
        try:
            return function(*args)
        except BrokenFile:
            raise
        except Exception as error:
            if not left:
                raise
            logging.getLogger(__name__).warning(
                "Trying again after %s: %s", type(error).__name__, error
            )
            time.sleep(PAUSE_SECONDS)


def count(name, number):
    """Adds to a counter that Beam's runners show while a job runs."""
    from apache_beam.metrics import Metrics

    Metrics.counter("glomo_keras", name).inc(number)
