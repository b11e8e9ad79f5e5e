"""Initializers used more than once."""


def fresh(initializer):
    """Returns a copy that draws on its own; a plain callable as it is."""
    return initializer.clone() if hasattr(initializer, "clone") else initializer
