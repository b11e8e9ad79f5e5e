"""Options of several processes."""

import keras
import pytest

from recipes.pretrain import text
from recipes.pretrain.processes import check
from recipes.pretrain.text_options import Options

TENSORFLOW = keras.backend.backend() == "tensorflow"
AT = {"process_index": 0, "coordinator": "a:1,b:2"}


def options(folder, **kwargs):
    return Options(
        corpus=(str(folder / "missing.txt"),), out=folder / "run", **kwargs
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_processes": 0}, "num_processes=0"),
        ({"num_processes": 3}, "batch_size=16"),
        ({"num_processes": 2, "process_index": 0}, "go together"),
        ({"num_processes": 2, **AT, "process_index": 2}, "process_index=2"),
        ({"num_processes": 2, **AT, "coordinator": "a"}, "coordinator=a"),
        ({"num_processes": 4, **AT}, "coordinator=a:1,b:2"),
    ],
)
def test_options_of_processes_are_refused_before_any_work(
    wrong, message, tmp_path
):
    with pytest.raises(ValueError, match=message):
        text.pretrain(options(tmp_path, **wrong))
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not TENSORFLOW, reason="limits on TensorFlow")
@pytest.mark.parametrize(
    "wrong",
    [{"steps_per_execution": 2}, {"jit_compile": "true"}],
)
def test_options_that_parts_on_tensorflow_exclude_are_refused(wrong, tmp_path):
    given = options(tmp_path, num_processes=2, batch_size=4, **wrong)
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        check(given)
