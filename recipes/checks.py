"""Refusals of options, in one form."""


def refuse(name, wanted, options):
    """Raises ValueError: the option of that name is not what is wanted."""
    flag = name.replace("_", "-")
    raise ValueError(
        f"--{flag} is {wanted}. Received: {name}={getattr(options, name)}"
    )
