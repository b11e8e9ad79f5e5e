import keras

from glomo_keras.models import presets
from glomo_keras.models._layers_first_model import LayersFirstModel
from glomo_keras.models._layers_first_model import with_dtype_policy


class PresetPredictor(LayersFirstModel):
    """A graph predictor that is written to and read from presets."""

    @classmethod
    def from_preset(cls, preset, trainable=False, dtype=None):
        """A pretrained predictor, frozen; with its vocabulary, if of texts.

        Args:
            preset: folder that `save_to_preset` wrote, or the name of a
                preset that comes with the package.
            trainable: boolean; False freezes it, also its dropout and batch
                statistics.
            dtype: dtype policy, or its name, under which it computes; the
                one it was saved with if None.

        Raises:
            ValueError: no such preset, one of another model, or a damaged,
                incomplete or too new one; the message names the file and the
                fault.
        """
        return presets.load_predictor(preset, cls, trainable, dtype)

    def save_to_preset(self, folder):
        """Writes the files of a preset, see `glomo_keras.models.presets`.

        Args:
            folder: path; made if needed. An existing preset is replaced.
        """
        presets.save(self, folder)


class PresetPretrainer(keras.Model):
    """g and f together, written to and read from presets.

    Keras turns the base classes of a functional model into functional ones:
    this one, of models that are not, has no base in common with them.
    """

    @classmethod
    def from_preset(cls, preset, dtype=None):
        """A pretrainer, g and f; with its vocabulary, if of texts.

        Args:
            preset: folder that `save_to_preset` of a pretrainer wrote.
            dtype: dtype policy, or its name, under which it computes; the
                one it was saved with if None.

        Raises:
            ValueError: no such preset, one of another model (a graph
                predictor alone), or a damaged, incomplete or too new one.
        """
        model = presets.load(preset, dtype)
        presets.check_class(preset, model, cls)
        return model

    def save_to_preset(self, folder):
        """Writes the files of a preset, see `glomo_keras.models.presets`.

        Args:
            folder: path; made if needed. An existing preset is replaced.
        """
        presets.save(self, folder)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**with_dtype_policy(config))
