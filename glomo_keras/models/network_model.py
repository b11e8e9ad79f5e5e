import types

import keras

from glomo_keras.models.glomo_model import GlomoModel
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class Network(keras.Model):
    """Functional model of named inputs, which refuses floating-point images.

    Keras would cast them to bytes, those in [0, 1] to black.
    """

    def __call__(self, inputs, *args, **kwargs):
        self.check_bytes(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, training=None, mask=None, **kwargs):
        # Keras calls this directly where it builds a function of the model.
        self.check_bytes(inputs)
        return super().call(inputs, training=training, mask=mask, **kwargs)

    def check_bytes(self, inputs):
        """Raises ValueError where what is given for bytes cannot be bytes."""
        names = sorted(self.input)
        if not isinstance(inputs, dict):
            inputs = dict(zip(names, keras.tree.flatten(inputs), strict=False))
        for name in names:
            if self.input[name].dtype == "uint8" and name in inputs:
                check.check_bytes(name, inputs[name])


class NetworkModel(GlomoModel):
    """Runs a functional model, its `network`.

    A subclass sets its layers as attributes (from which Keras takes the
    weights and their order), connects them to a network of named inputs and
    outputs, and calls `set_network`.

    Args:
        dtype: Dtype policy.
        name: String.
    """

    def __init__(self, dtype=None, name=None):
        # The network's inputs have dtypes of their own.
        super().__init__(dtype=dtype, name=name, autocast=False)
        self.supports_masking = True

    def set_network(self, inputs, outputs, trainable=True):
        """Makes the network.

        Args:
            inputs: Dict of `keras.Input`.
            outputs: Dict of `KerasTensor`.
            trainable: Boolean; False freezes all layers. Defaults to `True`.
        """
        # A namespace hides it from Keras, which knows the layers already and
        # would save their weights a second time.
        self._made = types.SimpleNamespace(
            network=Network(inputs, outputs, name=self.name)
        )
        self.built = True
        if not trainable:  # True would thaw what came frozen
            self.trainable = False

    @property
    def network(self):
        """The functional `keras.Model`, which shares this model's layers."""
        return self._made.network

    @property
    def input(self):
        """Dict of the network's symbolic inputs."""
        return self.network.input

    @property
    def output(self):
        """The network's symbolic outputs."""
        return self.network.output

    def __call__(self, inputs, *args, **kwargs):
        # A tokenizer gives strings and offsets too: left out before Keras
        # converts them, since JAX and PyTorch have no strings.
        if not isinstance(inputs, dict):
            raise ValueError(
                f"A {type(self).__name__} takes a dict of "
                f"{', '.join(self.network.input)}. "
                f"Received: inputs of type {type(inputs).__name__}"
            )
        names = [name for name in self.network.input if name in inputs]
        inputs = {name: inputs[name] for name in names}
        self.network.check_bytes(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, training=None):
        # Keras calls this directly where it builds a function of the model.
        names = [name for name in self.network.input if name in inputs]
        inputs = {name: inputs[name] for name in names}
        return self.network(inputs, training=training)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if not self.compiled:  # on JAX Keras would give 0
            raise ValueError(
                "There is no loss yet: `compile` the model with one. "
                f"Received: a {type(self).__name__} that is not compiled"
            )
        # Keras would take a tuple in the alphabetical order of the outputs.
        names = list(self.network.output)
        compiled = self._compile_config.config
        for name in (
            "targets",
            "loss",
            "loss_weights",
            "metrics",
            "weighted_metrics",
        ):
            given = y if name == "targets" else compiled.get(name)
            if len(names) > 1 and isinstance(given, tuple | list):
                raise ValueError(
                    f"A {type(self).__name__} takes a dict for "
                    f"{', '.join(names)}. Received: {name} of type "
                    f"{type(given).__name__}"
                )
        return super().compute_loss(
            x, y, y_pred, sample_weight, training=training
        )

    def compute_mask(self, inputs, previous_mask):
        return None

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Exports the network, see `keras.Model.export`.

        In an ONNX file graphs of any length are mixed at once, in memory that
        grows with T^2.

        Raises:
            ValueError: If a model that does not compute in float32 is to be
                an ONNX file.
        """
        if format != "onnx":
            return self.network.export(filepath, format=format, **kwargs)
        self._check_float32()
        network = self.mixed_at_once().network
        kwargs.setdefault("input_signature", [network.input])
        return network.export(filepath, format=format, **kwargs)

    def mixed_at_once(self):
        """Returns a model whose mixtures of graphs are made at once.

        ONNX Runtime does not load the choice that `GraphMixture` leaves to
        the run where T is unknown.
        """
        return self

    def _check_float32(self):
        computed = compute_dtypes(self.network)
        if not computed <= {"float32"}:
            raise ValueError(
                "An ONNX file computes in float32: make the model with "
                'dtype="float32" and give it the weights of this one. '
                f"Received: a {type(self).__name__} that computes in "
                f"{sorted(computed)}"
            )


def compute_dtypes(model):
    """Returns the set of the dtypes in which a model's layers compute."""
    return {
        layer.compute_dtype
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    }
