import errno
import os
import pickle
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from glomo_keras import data
from glomo_keras.data.images import image_files as reading
from tests.data import image_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    image_files.write_all(folder)
    image_files.write_hidden(folder)
    return folder


def prepare(specs, cache, size=8):
    return data.prepare_images(
        [data.open_images(s) for s in specs], cache, size
    )


def base(name):
    return name.rsplit("/", 1)[-1]


def test_odd_images_are_used_and_bad_files_named(folder, tmp_path):
    found = prepare([folder], tmp_path)
    values = dict(zip(map(base, found.names), found.images, strict=True))
    assert set(values) == set(image_files.GOOD)
    for name, expected in image_files.GOOD.items():
        assert values[name].shape == (8, 8, 3)
        assert np.abs(values[name].astype(int) - expected).max() <= 2, name
    reasons = {base(name): reason for name, reason in found.skipped}
    assert set(reasons) == set(image_files.BAD)
    for name, expected in image_files.BAD.items():
        assert reasons[name].startswith(expected), (name, reasons[name])
    text = data.describe_skipped(found.skipped)
    assert text.startswith("Skipped files: 9\n")
    assert all(name in text for name in image_files.BAD)


def test_second_time_reads_the_cache_and_changes_are_seen(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for i in range(3):
        Image.new("RGB", (9, 9), (i, i, i)).save(copy / f"{i}.png")
    cache = tmp_path / "cache"
    first = prepare([copy], cache)
    assert first.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    (array,) = cache.glob("*/images.npy")
    before = array.stat().st_mtime_ns
    prepare([copy], cache)
    assert array.stat().st_mtime_ns == before
    array.write_bytes(array.read_bytes()[:-5])  # a damaged cache is remade
    assert prepare([copy], cache).images[:, 0, 0, 0].tolist() == [0, 1, 2]
    Image.new("RGB", (9, 9), (7, 7, 7)).save(copy / "3.png")
    assert len(prepare([copy], cache)) == 4


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    """One copy could be held out and the other trained on."""
    inside = tmp_path / "images" / "inside"
    inside.mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (9, 9), (i, i, i)).save(inside / f"{i}.png")
    (tmp_path / "link").symlink_to(inside)
    specs = (tmp_path / "images", inside, inside / "1.png", tmp_path / "link")
    found = prepare(specs, tmp_path / "cache")
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    write_cifar(tmp_path / "cifar", "python")
    once, twice = (
        prepare([tmp_path / "cifar"] * count, tmp_path / "cache")
        for count in (1, 2)
    )
    assert len(once) == len(twice)


def test_the_same_relative_path_elsewhere_is_another_cache(
    tmp_path, monkeypatch
):
    for value in (1, 2):
        folder = tmp_path / str(value) / "images"
        folder.mkdir(parents=True)
        Image.new("RGB", (9, 9), (value,) * 3).save(folder / "0.bmp")
        os.utime(folder / "0.bmp", (0, 0))
        monkeypatch.chdir(folder.parent)
        found = prepare(["images"], tmp_path / "cache")
        assert found.images[0, 0, 0, 0] == value


def test_the_middle_square_is_scaled(tmp_path):
    values = np.zeros((4, 8, 3), "uint8")
    values[:, 2:6] = 200
    Image.fromarray(values).save(tmp_path / "a.png")
    found = prepare([tmp_path / "a.png"], tmp_path / "cache", size=2)
    assert np.all(found.images[0] == 200)


def test_a_fault_of_the_system_is_no_property_of_the_file(
    tmp_path, monkeypatch
):
    Image.new("RGB", (6, 6)).save(tmp_path / "a.png")

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(PermissionError, match="a.png"):
        data.read_image(tmp_path / "a.png", 8)


def test_a_bad_offset_in_a_file_is_damage(tmp_path, monkeypatch):
    Image.new("RGB", (6, 6)).save(tmp_path / "a.png")

    def seek(image):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(reading, "_as_rgb", seek)
    with pytest.raises(reading.UnusableImage, match="damaged"):
        data.read_image(tmp_path / "a.png", 8)


def test_no_usable_image_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(
        ValueError, match="(?s)no image that can be used.*notes"
    ):
        prepare([tmp_path], tmp_path / "cache")
    with pytest.raises(ValueError, match="no file below"):
        (tmp_path / "none").mkdir()
        data.open_images(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        data.open_images(tmp_path / "nowhere")


def cifar_arrays(batch):
    rng = np.random.default_rng(batch)
    return rng.integers(0, 256, (4, 3072)).astype("uint8"), [1, 0, 9, batch]


def write_cifar(folder, version):
    folder.mkdir(exist_ok=True)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for batch, name in enumerate(names):
        pixels, labels = cifar_arrays(batch)
        if version == "python":
            content = {b"data": pixels, b"labels": labels}
            (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        else:
            rows = np.concatenate([np.array(labels)[:, None], pixels], 1)
            (folder / f"{name}.bin").write_bytes(rows.astype("uint8").tobytes())


@pytest.mark.parametrize("version", ["python", "binary"])
@pytest.mark.parametrize("inside", [False, True])
def test_official_cifar_batches(version, inside, tmp_path):
    official = f"cifar-10-batches-{'py' if version == 'python' else 'bin'}"
    write_cifar(tmp_path / official, version)
    place = tmp_path if inside else tmp_path / official
    sources = data.open_labelled(place)
    train, test = (
        data.prepare_images([sources[s]], tmp_path / "cache", 32)
        for s in ("train", "test")
    )
    assert (len(train), len(test)) == (20, 4)
    assert test.labels.tolist() == [1, 0, 9, 5]
    assert train.class_names[0] == "airplane"
    pixels = cifar_arrays(2)[0][1].reshape(3, 32, 32)
    np.testing.assert_array_equal(train.images[9], pixels.transpose(1, 2, 0))
    unlabelled = data.open_images(place)
    assert len(unlabelled) == 20


def test_damaged_cifar_batches_are_named(tmp_path):
    write_cifar(tmp_path, "binary")
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="data_batch_3.bin.*multiple of 3073"):
        data.open_labelled(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match="lacks batches.*data_batch_3.bin"):
        data.open_images(tmp_path)
    python = tmp_path / "python"
    write_cifar(python, "python")
    batch = python / "data_batch_1"
    batch.write_bytes(batch.read_bytes()[:500])
    with pytest.raises(ValueError, match="data_batch_1 is no batch"):
        data.open_images(python)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    write_cifar(tmp_path, "python")
    content = pickle.dumps({b"data": Evil(), b"labels": [1]})
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(ValueError, match="refers to builtins.print"):
        data.open_images(tmp_path)


@pytest.mark.parametrize("ending", ["", ".bin"])
@pytest.mark.parametrize("inside", ["", "cifar-100-python"])
def test_cifar_100_is_named(tmp_path, ending, inside):
    folder = tmp_path / inside
    folder.mkdir(exist_ok=True)
    for name in ("train", "test"):
        (folder / f"{name}{ending}").write_bytes(b"\0" * 3074)
    for open_it in (data.open_labelled, data.open_images):
        with pytest.raises(ValueError, match="holds CIFAR-100.*tfds:cifar100"):
            open_it(tmp_path)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_is_named(tmp_path, kind):
    (tmp_path / "images").mkdir()
    path = shutil.make_archive(tmp_path / "all", kind, tmp_path / "images")
    for open_it in (data.open_labelled, data.open_images):
        with pytest.raises(ValueError, match=f"all.{kind} is an archive"):
            open_it(path)


@pytest.mark.parametrize("depth", [8, 10, 12, 14])
def test_images_of_16_bits_may_use_fewer(tmp_path, depth):
    values = np.linspace(0, 2**depth - 1, 64).reshape(8, 8).astype("uint16")
    Image.fromarray(values).save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match=f"use {depth} bits alone"):
        image = data.read_image(tmp_path / "a.png", 8)
    wanted = np.linspace(0, 255, 64).reshape(8, 8)
    assert np.abs(image - wanted[..., None]).max() < 2


def test_white_is_white_in_a_tiff_file_where_it_is_zero(tmp_path):
    white_is_zero = {262: 0}
    values = np.full((8, 8), 65535, "uint16")
    values[:, :4] = 0
    Image.fromarray(values).save(tmp_path / "a.tif", tiffinfo=white_is_zero)
    image = data.read_image(tmp_path / "a.tif", 8)
    assert np.all(image[:, :4] == 255)
    assert np.all(image[:, 4:] == 0)


def write_classes(folder, names, count=3):
    for label, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            image = Image.new("RGB", (6, 6), (label, i, 0))
            image.save(folder / name / f"{i}.png")


def test_class_folders(tmp_path):
    write_classes(tmp_path / "train", ["dog", "cat"])
    write_classes(tmp_path / "test", ["dog", "cat"], 1)
    sources = data.open_labelled(tmp_path)
    train = data.prepare_images([sources["train"]], tmp_path / "cache", 4)
    assert train.class_names == ["cat", "dog"]
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert train.images[:, 0, 0, 0].tolist() == [1, 1, 1, 0, 0, 0]
    image_files.write_hidden(tmp_path / "train")
    image_files.write_hidden(tmp_path / "train" / "dog")
    assert len(data.open_labelled(tmp_path)["train"]) == 6
    alone = data.open_labelled(tmp_path / "train")
    assert list(alone) == ["train"]


def test_class_folders_that_do_not_fit_are_named(tmp_path):
    write_classes(tmp_path / "train", ["dog", "cat"])
    with pytest.raises(ValueError, match="needs the other.*'train' alone"):
        data.open_labelled(tmp_path)
    write_classes(tmp_path / "test", ["dog", "cow"])
    with pytest.raises(ValueError, match="must be the same.*cow"):
        data.open_labelled(tmp_path)
    with pytest.raises(ValueError, match="two classes or more"):
        data.open_labelled(tmp_path / "train" / "dog")
    with pytest.raises(FileNotFoundError, match="not a folder"):
        data.open_labelled(tmp_path / "nowhere")
    for split in ("Train", "Test"):
        write_classes(tmp_path / "digits" / split, ["dog", "cat"])
    with pytest.raises(ValueError, match="in lower case.*'Test', 'Train'"):
        data.open_labelled(tmp_path / "digits")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_prepared_tfds_images(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _prepare_tfds(tmp_path)
    sources = data.open_labelled("tfds:tiny_images", data_dir=tmp_path)
    train = data.prepare_images([sources["train"]], tmp_path / "cache", 4)
    assert sorted(train.images[:, 0, 0, 0].tolist()) == [0, 10, 20]
    for image, label in zip(train.images, train.labels, strict=True):
        assert label == image[0, 0, 0] // 10 % 2
    assert train.class_names == ["a", "b"]
    assert len(data.open_images("tfds:tiny_images:test", tmp_path)) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_prepared_tfds_images_that_were_made_anew_are_read_anew(tmp_path):
    for first in (10, 20):
        shutil.rmtree(tmp_path / "tiny_images", ignore_errors=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _prepare_tfds(tmp_path, first)
        sources = [data.open_images("tfds:tiny_images:test", tmp_path)]
        found = data.prepare_images(sources, tmp_path / "cache", 4)
        assert sorted(found.images[:, 0, 0, 0].tolist()) == [0, first]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_prepared_tfds_images_without_labels_are_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _prepare_tfds(tmp_path, label=lambda i: -1)
    sources = data.open_labelled("tfds:tiny_images", data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"label=-1 in tfds:tiny_images:test"):
        data.prepare_images([sources["test"]], tmp_path / "cache", 4)


def _prepare_tfds(folder, step=10, label=lambda i: i % 2):
    tfds = pytest.importorskip("tensorflow_datasets")

    builder = tfds.core.GeneratorBasedBuilder

    class TinyImages(builder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(8, 8, 3)),
                "label": tfds.features.ClassLabel(names=["a", "b"]),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
            )

        def _split_generators(self, manager):
            return {s: self._generate_examples(s) for s in ("train", "test")}

        def _generate_examples(self, split):
            for i in range(3 if split == "train" else 2):
                image = np.full((8, 8, 3), step * i, "uint8")
                yield i, {"image": image, "label": label(i)}

    TinyImages(data_dir=folder).download_and_prepare()


def test_split_rows_depends_on_nothing_but_its_arguments():
    train, held_out = data.split_rows(10, 3, seed=1)
    assert sorted([*train, *held_out]) == list(range(10))
    again = data.split_rows(10, 3, seed=1)
    np.testing.assert_array_equal(train, again[0])
    assert not np.array_equal(held_out, data.split_rows(10, 3, seed=2)[1])
