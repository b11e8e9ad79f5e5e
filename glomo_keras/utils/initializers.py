def fresh(initializer):
    """A copy that draws on its own; a plain callable is used as it is."""
    return initializer.clone() if hasattr(initializer, "clone") else initializer
