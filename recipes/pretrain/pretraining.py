"""What the pretraining on text and on images have in common."""

import dataclasses

import keras

from glomo_keras import training
from recipes.checks import check_positive
from recipes.checks import refuse
from recipes.xla import JIT_COMPILE

RESULTS = ("preset", "pretrainer", "evaluation.json", "speed.csv")


def with_config(options, configs):
    """The options with the values of `config` for those that are None."""
    missing = {
        name: value
        for name, value in configs[options.config].items()
        if getattr(options, name) is None
    }
    return dataclasses.replace(options, **missing)


def run(options, harmless, load, describe, build, fit, report):
    """A pretraining from data to preset, unless it has ended before.

    Args:
        options: those of a recipe, complete.
        harmless: names of options that may differ in a run that goes on.
        load: `load(options, folder)` gives the data.
        describe: `describe(data)` is a dict that tells them from others.
        build: `build(options, data)` gives the compiled pretrainer.
        fit: `fit(options, data, pretrainer, folder)` gives the history.
        report: `report(options, data, pretrainer, folder, metrics)` prints,
            draws, and returns metrics to add to those of the best epoch.

    Returns:
        `pathlib.Path`, the folder of the preset.

    Raises:
        ValueError: an option out of its range, or the folder holds a run
            with other options or data.
        RuntimeError: the loss stopped being finite.
    """
    settings = dataclasses.asdict(options)
    del settings["overwrite"]
    check_positive(options, "epochs", "steps_per_epoch", "batch_size")
    if options.learning_rate <= 0:
        refuse("learning_rate", "above 0", options)
    folder = training.RunFolder(options.out, RESULTS)
    with folder.start(settings, harmless, options.overwrite):
        preset = folder.path / "preset"
        if folder.finished:
            print(f"Finished before: {folder.metrics_path}")
            return preset
        keras.utils.set_random_seed(options.seed)
        keras.config.set_dtype_policy(options.precision)
        loaded = load(options, folder)
        folder.check_data(describe(loaded))
        pretrainer = build(options, loaded)
        history = fit(options, loaded, pretrainer, folder)
        training.check_finite(history)
        pretrainer.graph_predictor.save_to_preset(preset)
        pretrainer.save_to_preset(folder.path / "pretrainer")
        losses = history.history["val_loss"]
        best = losses.index(min(losses))
        metrics = {
            "epochs": len(history.epoch),
            "best_epoch": best,
            "steps": len(history.epoch) * options.steps_per_epoch,
            **{name: x[best] for name, x in history.history.items()},
        }
        metrics |= report(options, loaded, pretrainer, folder, metrics)
        folder.write_metrics(metrics)
        print(f"Epoch {best + 1} of {len(history.epoch)}. Preset: {preset}")
    return preset


def compile_pretrainer(options, pretrainer, optimizer):
    """Compiles a pretrainer, and says how big it is."""
    pretrainer.compile(
        optimizer=optimizer, jit_compile=JIT_COMPILE[options.jit_compile]
    )
    print(
        f"{pretrainer.count_params():,} parameters, "
        f"{pretrainer.graph_predictor.count_params():,} of them in the graph "
        f"predictor; XLA: {pretrainer.jit_compile}"
    )
    return pretrainer


def adam(options):
    """Adam with warm-up and cosine decay over all steps."""
    steps = options.epochs * options.steps_per_epoch
    warmup = min(steps // 20, 2000)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=options.learning_rate / 100,
        decay_steps=steps - warmup,
        alpha=0.01,
        warmup_target=options.learning_rate,
        warmup_steps=warmup,
    )
    return keras.optimizers.Adam(schedule, global_clipnorm=1.0)
