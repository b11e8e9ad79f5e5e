"""Runs that end too early and go on."""


def rewind(folder):
    """Leaves in a finished run what a kill in its last epoch leaves."""
    (folder / "metrics.json").unlink()
    sorted((folder / "checkpoint").glob("*.npz"))[-1].unlink()


def check_resumed(run_again, folder, names):
    """Checks that a rewound run ends in the files of the uninterrupted one.

    Args:
        run_again: function that starts the run again.
        folder: of a finished run of two epochs or more.
        names: names of its files.
    """
    before = {name: (folder / name).read_text() for name in names}
    rewind(folder)
    run_again()
    for name in names:
        assert (folder / name).read_text() == before[name], name
