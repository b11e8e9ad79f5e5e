"""Cuts a run folder into parts small enough to bring back, and joins them.

    python -m recipes.pretrain.collect split --run runs/gpu --out $OUT    # there
    python -m recipes.pretrain.collect join --parts back/* --into runs    # here

`split` leaves in `--out` at most `--num-parts` parts of `--part-mib` each, from
`--first` on, and `parts.json` with the checksums of all of them; it says which
command brings the next ones. `join` takes the folders that came back, in any
order, says what is missing or damaged, and leaves `runs/gpu` as it was there.

`--what results` (the default) leaves out the checkpoints and the pretrainer,
`checkpoint` brings what the training needs to go on, `all` both.
"""

import dataclasses
import hashlib
import json
import pathlib
import tarfile
import tempfile
from typing import Literal

import tyro

MANIFEST = "parts.json"


@dataclasses.dataclass
class Split:
    """Cuts a run folder into parts."""

    run: pathlib.Path
    """The run folder."""
    out: pathlib.Path
    """Where the parts go."""
    what: Literal["results", "checkpoint", "all"] = "results"
    first: int = 0
    """The first part to leave there."""
    num_parts: int = 4
    """How many parts can be brought back at a time."""
    part_mib: float = 15.0


@dataclasses.dataclass
class Join:
    """Joins parts to a run folder."""

    parts: tuple[pathlib.Path, ...]
    """Folders with parts, each with its parts.json."""
    into: pathlib.Path
    """The folder that will hold the run folder."""


def split(options):
    """Writes some parts of a run folder, and the manifest of all.

    Args:
        options: `Split`.

    Returns:
        List of the names of the parts written.

    Raises:
        FileNotFoundError: if there is nothing to bring back.
        ValueError: if there is no such part.
    """
    paths = chosen(options.run, options.what)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for path in paths:
                archive.add(path, path.relative_to(options.run.parent))
        file.seek(0)
        manifest, written = _write_parts(file, options)
    text = json.dumps(manifest, indent=1) + "\n"
    (options.out / MANIFEST).write_text(text, "utf-8")
    _say_what_is_left(manifest, written, options)
    return written


def chosen(run, what):
    """The files of a run folder to bring back, sorted."""
    newest = sorted(run.glob("checkpoint/checkpoint-*.npz"))[-1:]
    others = [
        path
        for path in run.rglob("*")
        if path.is_file()
        and path.suffix != ".tmp"
        and path.relative_to(run).parts[0]
        not in (".lock", "checkpoint", "pretrainer")
    ]
    pretrainer = [path for path in run.glob("pretrainer/*") if path.is_file()]
    if what == "checkpoint":
        names = ("config.json", "data.json", "history.csv")
        others = [run / name for name in names if (run / name).exists()]
    paths = {
        "results": others,
        "checkpoint": [*others, *newest],
        "all": [*others, *newest, *pretrainer],
    }[what]
    if not paths or (what == "checkpoint" and not newest):
        raise FileNotFoundError(
            f"Nothing to bring back. Received: run={run}, what={what}"
        )
    return sorted(paths)


def _write_parts(file, options):
    size = int(options.part_mib * 2**20)
    last = options.first + options.num_parts
    whole, records, written = hashlib.sha256(), [], []
    while data := file.read(size):
        name = f"part-{len(records):04d}"
        whole.update(data)
        if options.first <= len(records) < last:
            (options.out / name).write_bytes(data)
            written.append(name)
        digest = hashlib.sha256(data).hexdigest()
        records.append({"name": name, "bytes": len(data), "sha256": digest})
    if not written:
        raise ValueError(
            f"There are {len(records)} parts. Received: first={options.first}"
        )
    return {"sha256": whole.hexdigest(), "parts": records}, written


def _say_what_is_left(manifest, written, options):
    total = sum(record["bytes"] for record in manifest["parts"])
    print(
        f"{len(written)} of {len(manifest['parts'])} parts, "
        f"{total / 2**20:.1f} MiB in all -> {options.out}"
    )
    after = options.first + len(written)
    if after < len(manifest["parts"]):
        print(f"The next parts: the same command with --first {after}")


def join(options):
    """Joins parts and unpacks the run folder.

    Args:
        options: `Join`.

    Raises:
        ValueError: if parts are missing or damaged, or belong to different
            states of a run.
    """
    manifests = [
        json.loads((folder / MANIFEST).read_text("utf-8"))
        for folder in options.parts
    ]
    if any(manifest != manifests[0] for manifest in manifests):
        raise ValueError(
            "The parts are of different states of the run, or of different "
            "choices of its files: split it again without training in "
            f"between. Received: {[str(p) for p in options.parts]}"
        )
    paths = [
        _find_part(record, options.parts) for record in manifests[0]["parts"]
    ]
    options.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as file:
        whole = hashlib.sha256()
        for path in paths:
            data = path.read_bytes()
            whole.update(data)
            file.write(data)
        if whole.hexdigest() != manifests[0]["sha256"]:
            raise ValueError(
                f"The joined parts are damaged. Received: {options.parts}"
            )
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            archive.extractall(options.into, filter="data")
            print(f"{len(archive.getnames())} files -> {options.into}")


def _find_part(record, folders):
    """The sound copy of a part."""
    damaged = False
    for folder in folders:
        path = folder / record["name"]
        if path.exists():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == record["sha256"]:
                return path
            damaged = True
    raise ValueError(
        f"Part {record['name']} is {'damaged' if damaged else 'missing'}; "
        f"split again with --first {int(record['name'][5:])}. "
        f"Received: {[str(folder) for folder in folders]}"
    )


def main():
    options = tyro.extras.subcommand_cli_from_dict(
        {"split": Split, "join": Join}
    )
    (split if isinstance(options, Split) else join)(options)


if __name__ == "__main__":
    main()
