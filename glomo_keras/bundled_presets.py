"""The presets that come with the package."""

import pathlib

FOLDER = pathlib.Path(__file__).parent / "presets"


def names():
    """Returns the sorted names of the presets."""
    return sorted(path.parent.name for path in FOLDER.glob("*/metadata.json"))


def find(preset):
    """Returns the folder of a preset.

    Args:
        preset: folder, or name of a preset that comes with the package.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: If there is neither.
    """
    known = names()
    name = str(preset)
    folder = FOLDER / name if name in known else pathlib.Path(preset)
    if folder.is_dir():
        return folder
    raise ValueError(
        "A preset is a folder that `save_to_preset` wrote, or the name of one "
        f"that comes with glomo_keras ({', '.join(known) or 'none yet'}). "
        f"Received: preset={name!r}"
    )
