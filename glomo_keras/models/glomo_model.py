import keras


class GlomoModel(keras.Model):
    """Base class for the models of this package.

    They do not subclass `keras.Functional`: `keras.models.clone_model` would
    turn them into plain functional models, without their methods and with
    their weights in another order.
    """

    def make_train_function(self, force=False):
        # TensorFlow traces a first step twice if it makes variables. Under a
        # strategy, variables are made in its scope, by Keras.
        alone = getattr(self, "_distribute_strategy", None) is None
        if alone and self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def quantize(self, mode=None, config=None, **kwargs):
        """Refuses: scores and tied embeddings need floating point numbers.

        Raises:
            ValueError: Always, before anything is changed.
        """
        raise ValueError(
            f"{type(self).__name__} cannot be quantized: scores of graphs "
            "and tied embeddings need floating point numbers. "
            "`save_to_preset(folder, dtype='float16')` halves the file of a "
            "predictor or pretrainer. "
            f"Received: mode={mode!r}"
        )

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras 3.15 averages the first batch over TensorFlow's replicas, which
        # fails for booleans; shapes and dtypes are those of any replica.
        if iterator is not None and self._distribute_strategy is not None:
            local = self._distribute_strategy.experimental_local_results
            _, _, batches = next(iter(iterator))
            data_batch = keras.tree.map_structure(
                lambda x: local(x)[0], next(batches)
            )
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        if isinstance(config.get("dtype"), dict):
            policy = keras.dtype_policies.deserialize(config["dtype"])
            config = {**config, "dtype": policy}
        return cls(**config)
