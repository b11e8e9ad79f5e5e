"""The option `--jit-compile` of the recipes, and what Keras takes for it."""

JIT_COMPILE = {"auto": "auto", "true": True, "false": False}
