import keras

from glomo_keras.layers._with_mask import _WithMask
from glomo_keras.layers.elmo.elmo_language_model import ElmoLanguageModel
from glomo_keras.layers.text.scalar_mix import ScalarMix
from glomo_keras.ops.elmo import real_words


@keras.saving.register_keras_serializable(package="glomo_keras")
class Elmo(keras.layers.Layer):
    """Computes ELMo features: the mixed layers of a language model.

    `glomo_keras.data.load_elmo` makes this layer from published files.

    Args:
        language_model: `ElmoLanguageModel`.
        normalize: Whether the layers are normalised before they are mixed,
            see `ScalarMix`; sentence boundaries count. Defaults to `False`.
        finetune: Whether the language model is trained too; the weights of
            the mix always are. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        char_ids: Integer tensor `(B, T, C)`, see `data.elmo_char_ids`.
        padding_mask: Boolean `(B, T)`, True = real position; the padding
            follows the words. Defaults to `None`: a word with an id above 0
            is real.

    Returns:
        Tensor `(B, T, 2 * p)`, 0 in the padding.

    Raises:
        ValueError: If shapes are wrong, or `language_model` is of another
            class.

    Example:

    >>> import glomo_keras as gk
    >>> from glomo_keras import data
    >>> model = gk.layers.ElmoLanguageModel(
    ...     char_embedding_dim=4,
    ...     filters=[(1, 4), (2, 8)],
    ...     projection_dim=6,
    ...     lstm_dim=8,
    ... )
    >>> elmo = gk.layers.Elmo(model)
    >>> tuple(elmo(data.elmo_char_ids([["A", "cat"], ["Yes"]])).shape)
    (2, 2, 12)
    >>> [weight.name for weight in elmo.trainable_weights]
    ['logits', 'gamma']

    Reference:
        Peters et al. 2018, "Deep contextualized word representations".
    """

    def __init__(
        self, language_model, normalize=False, finetune=False, **kwargs
    ):
        super().__init__(**kwargs)
        if not isinstance(language_model, ElmoLanguageModel):
            raise ValueError(
                "`language_model` must be an ElmoLanguageModel. "
                f"Received: language_model={language_model!r}"
            )
        self.language_model = language_model
        self.normalize = normalize
        self.finetune = finetune
        language_model.trainable = self.trainable and finetune
        self.mix = ScalarMix(
            normalize,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="mix",
        )
        self.with_mask = _WithMask(
            dtype=self.dtype_policy, trainable=self.trainable, name="with_mask"
        )
        self.supports_masking = True

    @property
    def trainable(self):
        return super().trainable

    @trainable.setter
    def trainable(self, value):
        # A model sets `trainable` on all its layers: the language model stays
        # frozen when the model is unfrozen.
        keras.layers.Layer.trainable.fset(self, value)
        self.language_model.trainable = self.trainable and self.finetune

    def build(self, char_ids_shape, padding_mask_shape=None):
        if not self.language_model.built:
            self.language_model.build(char_ids_shape)
        self.mix.build(self.language_model.compute_output_shape(char_ids_shape))

    def call(self, char_ids, padding_mask=None):
        model = self.language_model
        layers, mask = model.with_boundaries(char_ids, padding_mask)
        mixed = self.mix(layers, padding_mask=mask)  # (B, T + 2, 2 * p)
        outputs = model.without_boundaries(mixed, char_ids, padding_mask)
        return self.with_mask(outputs, mask=real_words(char_ids, padding_mask))

    def compute_mask(self, char_ids, previous_mask):
        return real_words(char_ids)

    def compute_output_shape(self, char_ids_shape, padding_mask_shape=None):
        shape = self.language_model.compute_output_shape(char_ids_shape)
        return (shape[0], *shape[2:])

    def get_config(self):
        return {
            **super().get_config(),
            "language_model": keras.saving.serialize_keras_object(
                self.language_model
            ),
            "normalize": self.normalize,
            "finetune": self.finetune,
        }

    @classmethod
    def from_config(cls, config):
        model = keras.saving.deserialize_keras_object(config["language_model"])
        return cls(**{**config, "language_model": model})
