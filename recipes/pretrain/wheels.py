"""Brings Keras to a machine with JAX and CUDA that reaches no package index.

    python recipes/pretrain/wheels.py fetch loan/wheels --python 3.12    # here
    python3 recipes/pretrain/wheels.py install loan/wheels /tmp/site     # there
    export PYTHONPATH=/tmp/site KERAS_BACKEND=jax

`fetch` takes the versions that are installed here, each a wheel for Linux on
x86-64 and the Python of the other machine. `install` puts them in a folder of
their own and then checks, in a new process, that what the recipes import is
there, that Keras runs on JAX and that JAX sees a GPU. Both need nothing but
Python's own library and pip.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import pathlib
import subprocess
import sys

# What Keras and the recipes import that a machine with JAX may lack.
PACKAGES = (
    "keras",
    "namex",
    "optree",
    "tyro",
    "docstring_parser",
    "typeguard",
)
# What they import beside that; `fetch --also NAME` brings one that is missing.
EXPECTED = (
    "absl",
    "h5py",
    "jax",
    "matplotlib",
    "ml_dtypes",
    "numpy",
    "packaging",
    "rich",
    "tqdm",
    "typing_extensions",
)
PLATFORMS = [
    f"manylinux{name}_x86_64"
    for name in ("_2_28", "_2_27", "_2_24", "_2_17", "2014", "_2_12", "2010")
]


def fetch(folder, python, also=()):
    """Downloads one wheel for each package.

    Args:
        folder: path; what wheels it holds are removed.
        python: str, the other machine's version of Python, such as 3.12.
        also: names of more packages that are installed here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in folder.glob("*.whl"):
        wheel.unlink()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation=cp", "-d", str(folder)]
    command += [f"--python-version={python}"]
    command += [f"--platform={name}" for name in PLATFORMS]
    command += [
        f"{name}=={importlib.metadata.version(name)}"
        for name in (*PACKAGES, *also)
    ]
    subprocess.run(command, check=True)
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        print(f"{wheel.stat().st_size / 2**20:6.2f} MiB  {wheel.name}")
    total = sum(wheel.stat().st_size for wheel in wheels)
    print(f"{total / 2**20:6.2f} MiB  {folder}")


def install(folder, target, allow_cpu=False):
    """Installs the wheels and checks what is there.

    Args:
        folder: path of the wheels.
        target: path of the folder to install into.
        allow_cpu: boolean, whether a machine without a GPU will do.
    """
    wheels = sorted(map(str, folder.glob("*.whl")))
    if not wheels:
        sys.exit(f"No wheels to install; run `fetch`. Received: {folder}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"]
    command += ["--no-index", "--no-deps", f"--find-links={folder}"]
    command += ["--disable-pip-version-check", "--root-user-action=ignore"]
    subprocess.run([*command, f"--target={target}", *wheels], check=True)
    search_path = [str(target.resolve()), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, __file__, "check"]
    result = subprocess.run(
        command + ["--allow-cpu"] * allow_cpu,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": os.pathsep.join(filter(None, search_path)),
        },
    )
    if result.returncode:
        sys.exit(result.returncode)


def check(allow_cpu=False):
    """Ends with a message that says what is missing, if anything is.

    Args:
        allow_cpu: boolean, whether a machine without a GPU will do.
    """
    missing = [
        name
        for name in (*EXPECTED, *PACKAGES)
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        sys.exit(
            "Missing here; fetch them with --also NAME (the name of the "
            f"package on the index). Received: {', '.join(missing)}"
        )
    import jax
    import keras

    if keras.backend.backend() != "jax":
        sys.exit(
            "Set KERAS_BACKEND=jax. "
            f"Received: backend={keras.backend.backend()}"
        )
    device = jax.devices()[0]
    print(
        f"Python {sys.version.split()[0]}, Keras {keras.version()}, "
        f"JAX {jax.__version__}, {device.platform}: {device.device_kind}"
    )
    if device.platform != "gpu" and not allow_cpu:
        sys.exit(
            "JAX sees no GPU: look at `nvidia-smi`, and at whether JAX's CUDA "
            "plug-in is installed (`pip show jax-cuda13-plugin`). "
            f"Received: devices={jax.devices()}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("fetch", help="download the wheels")
    command.add_argument("folder", type=pathlib.Path)
    command.add_argument("--python", default="3.12")
    command.add_argument("--also", nargs="*", default=())
    command = commands.add_parser("install", help="install and check")
    command.add_argument("folder", type=pathlib.Path)
    command.add_argument("target", type=pathlib.Path)
    command.add_argument("--allow-cpu", action="store_true")
    command = commands.add_parser("check", help="check alone")
    command.add_argument("--allow-cpu", action="store_true")
    options = vars(parser.parse_args())
    functions = {"fetch": fetch, "install": install, "check": check}
    functions[options.pop("command")](**options)


if __name__ == "__main__":
    main()
