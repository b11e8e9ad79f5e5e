"""Initializers used more than once."""


def fresh(initializer):
    """Returns a copy with its own random state (a plain callable as it is)."""
    return initializer.clone() if hasattr(initializer, "clone") else initializer
