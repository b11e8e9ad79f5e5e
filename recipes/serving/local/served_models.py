"""The SavedModels of a folder, by name and version."""

import pathlib


class Refusal(Exception):
    """A request that is refused.

    Args:
        code: name of a gRPC status.
        message: string.
    """

    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


class ServedModels:
    """Loads `FOLDER/NAME/VERSION` and runs their signatures.

    Args:
        folder: path of the folder of all models.

    Raises:
        ValueError: if there is no model.
    """

    def __init__(self, folder):
        import tensorflow as tf

        self._tf = tf
        self._signatures = {}
        for path in sorted(pathlib.Path(folder).glob("*/*/saved_model.pb")):
            name, version = path.parts[-3:-1]
            if version.isdecimal():
                model = tf.saved_model.load(str(path.parent))
                versions = self._signatures.setdefault(name, {})
                # The model with them: its variables go when it goes.
                versions[int(version)] = (model, model.signatures)
        if not self._signatures:
            raise ValueError(
                "There must be a SavedModel in FOLDER/NAME/VERSION/. "
                f"Received: folder={str(folder)!r}"
            )

    def names(self):
        """Dict from names to sorted versions."""
        return {name: sorted(x) for name, x in self._signatures.items()}

    def specs(self, name, version, signature):
        """Dict of the `tf.TensorSpec` of a signature's inputs.

        Args:
            name: of the model.
            version: int, or None for the newest.
            signature: its name; `""` is `serving_default`.

        Raises:
            Refusal: if there is no such signature.
        """
        return self._find(name, version, signature).structured_input_signature[
            1
        ]

    def run(self, name, version, signature, inputs):
        """The outputs of a signature, a dict of arrays.

        Args:
            name, version, signature: see `specs`.
            inputs: dict of arrays.

        Raises:
            Refusal: what the model refuses, with its message.
        """
        specs = self.specs(name, version, signature)
        if set(inputs) != set(specs):
            raise Refusal(
                "INVALID_ARGUMENT",
                f"inputs must be {sorted(specs)}, found {sorted(inputs)}",
            )
        for key, spec in specs.items():
            if not spec.shape.is_compatible_with(inputs[key].shape):
                raise Refusal(
                    "INVALID_ARGUMENT",
                    f"{key} must have the shape {spec.shape}, "
                    f"found {inputs[key].shape}",
                )
        function = self._find(name, version, signature)
        try:
            tensors = {name: self._tf.constant(x) for name, x in inputs.items()}
            outputs = function(**tensors)
        except self._tf.errors.OpError as error:
            code = "INVALID_ARGUMENT" if error.error_code == 3 else "INTERNAL"
            raise Refusal(code, error.message) from error
        except (TypeError, ValueError) as error:  # of another type
            raise Refusal("INVALID_ARGUMENT", str(error)) from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def _find(self, name, version, signature):
        versions = self._signatures.get(name, {})
        number = max(versions, default=None) if version is None else version
        if number not in versions:
            which = "Latest" if version is None else f"Specific({version})"
            raise Refusal(
                "NOT_FOUND", f"Servable not found for request: {which}({name})"
            )
        _, signatures = versions[number]
        signature = signature or "serving_default"
        if signature not in list(signatures):
            raise Refusal(
                "INVALID_ARGUMENT",
                f"Serving signature key {signature!r} not found",
            )
        return signatures[signature]
