import keras
from keras import ops

from glomo_keras.layers.elmo._elmo_character_encoder import (
    _ElmoCharacterEncoder,
)
from glomo_keras.layers.elmo._elmo_lstm_cell import _ElmoLSTMCell
from glomo_keras.ops.elmo import add_boundaries
from glomo_keras.ops.elmo import real_words
from glomo_keras.ops.elmo_characters import NUM_CHARACTERS
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import validation as check

CHARACTER_ACTIVATIONS = ("relu", "tanh")

FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))


@keras.saving.register_keras_serializable(package="glomo_keras")
class ElmoLanguageModel(keras.layers.Layer):
    """Runs ELMo's bidirectional language model and returns all its layers.

    Layer 0 is the word's vector x from its characters, twice. Layer l > 0 is
    the concatenation of a forward and a backward LSTM, with `r` the output of
    the same direction's layer below and H, p the sizes of cell and output:

        c_t = clip(sigmoid(f + 1) * c_{t-1} + sigmoid(i) * tanh(j))
        m_t = clip((sigmoid(o) * tanh(c_t)) @ W_P)
        [i, j, f, o] = [r_t, m_{t-1}] @ W + b

    With skip connections layer l > 1 adds its input to m. The LSTMs read a
    boundary mark before and after each sentence; the output does not contain
    them. The defaults are the sizes of the published "original" model,
    93,600,848 parameters; `glomo_keras.data.load_elmo` loads its weights.

    A batch depends on nothing but itself. (The published code is stateful:
    each row goes on from the state in which the same row of the previous batch
    ended.)

    Args:
        char_embedding_dim: Integer, width of a character's vector. Defaults
            to `16`.
        filters: Pairs `(width, number)` of the convolutions over characters.
            Defaults to seven widths, 2,048 filters.
        num_highway: Integer, highway layers; may be 0. Defaults to `2`.
        projection_dim: Integer p, the width of one direction. Defaults to
            `512`.
        lstm_dim: Integer H. Defaults to `4096`.
        num_layers: Integer n, LSTM layers. Defaults to `2`.
        num_characters: Integer, rows of the characters' table. Defaults to
            `262`.
        max_characters: Integer C. Defaults to `50`.
        activation: `"relu"` or `"tanh"`, of the convolutions. Defaults to
            `"relu"`.
        cell_clip: Float, or `None` for no clip. Defaults to `3.0`.
        projection_clip: Float, or `None` for no clip. Defaults to `3.0`.
        use_skip_connections: Boolean. Defaults to `True`.
        use_projection: Whether the filters' outputs are projected to p.
            Defaults to `None`: only if there are not p of them.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        char_ids: Integer tensor `(B, T, C)`, see `data.elmo_char_ids`; 0 in
            the padding, which follows the words of a row.
        padding_mask: Boolean `(B, T)`, True = real position. Defaults to
            `None`: a word with an id above 0 is real.

    Returns:
        Tensor `(B, n + 1, T, 2 * p)`, 0 in the padding.

    Raises:
        ValueError: If an argument is out of its range, or shapes are wrong.

    Example:

    >>> import glomo_keras as gk
    >>> from glomo_keras import data
    >>> model = gk.layers.ElmoLanguageModel(
    ...     char_embedding_dim=4,
    ...     filters=[(1, 4), (2, 8)],
    ...     projection_dim=6,
    ...     lstm_dim=8,
    ... )
    >>> char_ids = data.elmo_char_ids([["A", "cat"], ["Yes"]])
    >>> tuple(model(char_ids).shape)
    (2, 3, 2, 12)

    Reference:
        Peters et al. 2018, "Deep contextualized word representations".
    """

    def __init__(
        self,
        char_embedding_dim=16,
        filters=FILTERS,
        num_highway=2,
        projection_dim=512,
        lstm_dim=4096,
        num_layers=2,
        num_characters=NUM_CHARACTERS,
        max_characters=50,
        activation="relu",
        cell_clip=3.0,
        projection_clip=3.0,
        use_skip_connections=True,
        use_projection=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive(
            char_embedding_dim=char_embedding_dim,
            projection_dim=projection_dim,
            lstm_dim=lstm_dim,
            num_layers=num_layers,
            max_characters=max_characters,
        )
        check.check_option("activation", activation, CHARACTER_ACTIVATIONS)
        self.char_embedding_dim = char_embedding_dim
        self.filters = _checked_filters(filters, max_characters)
        self.num_highway = num_highway
        self.projection_dim = projection_dim
        self.lstm_dim = lstm_dim
        self.num_layers = num_layers
        self.num_characters = num_characters
        self.max_characters = max_characters
        self.activation = activation
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.use_skip_connections = use_skip_connections
        self.use_projection = use_projection
        self.supports_masking = True
        self._check_numbers()

    def _check_numbers(self):
        if self.num_highway:
            check.check_positive(num_highway=self.num_highway)
        if self.num_characters < NUM_CHARACTERS:
            raise ValueError(
                f"`num_characters` must be at least {NUM_CHARACTERS}: 256 "
                "bytes, five special characters and padding. "
                f"Received: num_characters={self.num_characters}"
            )
        for name in ("cell_clip", "projection_clip"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise ValueError(
                    f"`{name}` must be positive, or None for no clip. "
                    f"Received: {name}={limit}"
                )
        total = sum(count for _, count in self.filters)
        if self.use_projection is False and total != self.projection_dim:
            raise ValueError(
                f"Without a projection the {total} filters must be as many as "
                f"`projection_dim`. Received: use_projection=False, "
                f"projection_dim={self.projection_dim}"
            )

    def build(self, char_ids_shape, padding_mask_shape=None):
        self._check_shape(char_ids_shape)
        options = {"dtype": self.dtype_policy, "trainable": self.trainable}
        total = sum(count for _, count in self.filters)
        project = self.use_projection
        self.encoder = _ElmoCharacterEncoder(
            embedding_dim=self.char_embedding_dim,
            filters=self.filters,
            num_highway=self.num_highway,
            projection_dim=self.projection_dim,
            num_characters=self.num_characters,
            activation=self.activation,
            use_projection=(
                total != self.projection_dim if project is None else project
            ),
            name="character_encoder",
            **options,
        )
        self.encoder.build((None, None, self.max_characters))
        self.lstms = {
            direction: [
                self._lstm(f"{direction}_{index}", options)
                for index in range(self.num_layers)
            ]
            for direction in DIRECTIONS
        }

    def _lstm(self, name, options):
        cell = _ElmoLSTMCell(
            self.lstm_dim,
            self.projection_dim,
            self.cell_clip,
            self.projection_clip,
            **options,
        )
        layer = keras.layers.RNN(
            cell,
            return_sequences=True,
            name=name,
            **options,
        )
        layer.build((None, None, self.projection_dim))
        return layer

    def _check_shape(self, shape):
        check.check_rank("char_ids", shape, 3, "(B, T, C)")
        if shape[-1] != self.max_characters:
            raise ValueError(
                f"`char_ids` must have {self.max_characters} characters a "
                "word (`max_characters`). "
                f"Received: char_ids.shape={tuple(shape)}"
            )

    def call(self, char_ids, padding_mask=None):
        layers, _ = self.with_boundaries(char_ids, padding_mask)
        return self.without_boundaries(layers, char_ids, padding_mask)

    def with_boundaries(self, char_ids, padding_mask=None):
        """Returns all layers, with the boundaries of each sentence.

        Returns:
            Tuple `(layers, mask)`: `(B, n + 1, T + 2, 2 * p)`, 0 in the
            padding, and boolean `(B, T + 2)`.
        """
        char_ids, mask = self._checked(char_ids, padding_mask)
        char_ids, mask = add_boundaries(char_ids, mask)
        words = self.encoder(char_ids)  # (B, T + 2, p)
        outputs = [[words, words]]
        for index in range(self.num_layers):
            pair = zip(DIRECTIONS, outputs[-1], strict=True)
            outputs.append([self._run(d, index, x, mask) for d, x in pair])
        layers = [ops.concatenate(pair, axis=-1) for pair in outputs]
        layers = ops.stack(layers, axis=1)  # (B, n + 1, T + 2, 2 * p)
        return layers * ops.cast(mask, layers.dtype)[:, None, :, None], mask

    def without_boundaries(self, tensor, char_ids, padding_mask=None):
        """Returns positions `1 ... T` of a tensor `(..., T + 2, d)`.

        The padding is set to 0; the end mark of a short sentence is in it.
        """
        _, mask = self._checked(char_ids, padding_mask)
        mask = ops.cast(mask, tensor.dtype)[..., None]  # (B, T, 1)
        if len(tensor.shape) == 4:
            mask = mask[:, None]
        return tensor[..., 1:-1, :] * mask

    def _checked(self, char_ids, padding_mask):
        check.check_padding_mask(padding_mask, char_ids.shape[1])
        return ops.cast(char_ids, "int32"), real_words(char_ids, padding_mask)

    def _run(self, direction, index, inputs, mask):
        """Runs one LSTM; the backward one skips the leading padding."""
        lstm = self.lstms[direction][index]
        if direction == "backward":
            flipped, mask = ops.flip(inputs, axis=1), ops.flip(mask, axis=1)
            output = ops.flip(lstm(flipped, mask=mask), axis=1)
        else:
            output = lstm(inputs, mask=mask)
        if self.use_skip_connections and index > 0:
            output = output + inputs
        return output

    def compute_mask(self, char_ids, previous_mask):
        return None

    def compute_output_shape(self, char_ids_shape, padding_mask_shape=None):
        self._check_shape(char_ids_shape)
        batch, length, _ = char_ids_shape
        return (batch, self.num_layers + 1, length, 2 * self.projection_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "char_embedding_dim": self.char_embedding_dim,
            "filters": self.filters,
            "num_highway": self.num_highway,
            "projection_dim": self.projection_dim,
            "lstm_dim": self.lstm_dim,
            "num_layers": self.num_layers,
            "num_characters": self.num_characters,
            "max_characters": self.max_characters,
            "activation": self.activation,
            "cell_clip": self.cell_clip,
            "projection_clip": self.projection_clip,
            "use_skip_connections": self.use_skip_connections,
            "use_projection": self.use_projection,
        }


def _checked_filters(filters, max_characters):
    filters = [list(pair) for pair in filters]
    for pair in filters:
        if len(pair) != 2 or min(pair) < 1 or pair[0] > max_characters:
            raise ValueError(
                "`filters` must be pairs (width, number) of positive integers,"
                f" no width above `max_characters`. Received: filters={filters}"
            )
    if not filters:
        raise ValueError("`filters` must not be empty. Received: filters=[]")
    return filters
