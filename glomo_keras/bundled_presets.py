"""The presets that come with the package."""

import pathlib

FOLDER = pathlib.Path(__file__).parent / "presets"


def names():
    """Sorted names of the presets."""
    return sorted(path.parent.name for path in FOLDER.glob("*/metadata.json"))


def folder_of(preset):
    """The folder of a preset of this name, or else what was given.

    Args:
        preset: name or path.
    """
    return FOLDER / str(preset) if str(preset) in names() else preset
