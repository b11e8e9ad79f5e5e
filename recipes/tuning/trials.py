"""How a trial builds and trains its model."""

import keras

from glomo_keras import data
from recipes.tasks import run
from recipes.tuning.options import task_options


class Trials:
    """What trials share: the task's data, once for each vocabulary.

    Args:
        options: `Options`.
        recipe: the task's module.
        predictors: dict of context length to a preset; that of the space
            mixture under None.
    """

    def __init__(self, options, recipe, predictors):
        self.options = options
        self.recipe = recipe
        self.predictors = predictors
        self._loaded = {}

    def task_options(self, values):
        values = dict(values)
        predictor = self.predictors[values.pop("context_length", None)]
        return task_options(
            self.recipe, self.options, predictor=str(predictor), **values
        )

    def loaded(self, options):
        """`TaskData` with the ids of the predictor's vocabulary."""
        tokenizer = data.WordTokenizer.from_preset(options.predictor)
        key = (tuple(tokenizer.vocabulary), str(tokenizer.get_config()))
        if key not in self._loaded:
            self._loaded[key] = self.recipe.load(options)
        return self._loaded[key]

    def make_model(self, values):
        options = self.task_options(values)
        return run.build(
            self.recipe.TASK, options, self.loaded(options), self.options.seed
        )

    def train(self, values, model, *, epochs, initial_epoch=0, callbacks, **kw):
        """As `fit`; an epoch has the same batches in every trial."""
        task, options = self.recipe.TASK, self.task_options(values)
        loaded = self.loaded(options)
        sampler = data.BucketedBatches(
            loaded.train, options.batch_size, self.options.seed
        )
        steps = options.steps_per_epoch or sampler.steps_per_epoch
        return model.fit(
            run.as_dataset(sampler, initial_epoch * steps),
            epochs=epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps,
            validation_data=run.as_dataset(
                data.EvaluationBatches(loaded.validation, options.batch_size)
            ),
            callbacks=[
                *task.callbacks(options, loaded),
                keras.callbacks.TerminateOnNaN(),
                keras.callbacks.EarlyStopping(
                    task.monitor,
                    mode=task.monitor_mode,
                    patience=options.patience,
                ),
                *callbacks,
            ],
            shuffle=False,  # the dataset has its order; `fit` would warn
            **kw,
        )
