import keras


class _WithMask(keras.layers.Layer):
    """Sets a mask as the Keras mask of a tensor.

    `compute_mask` sees neither a mask given as an argument of another name
    nor that of a second tensor.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, inputs_shape):
        pass

    def call(self, inputs, mask=None):
        return inputs

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        # Without this, Keras cannot serialize a layer with a `DTypePolicy`.
        return super().get_config()
