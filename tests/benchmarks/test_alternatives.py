import numpy as np
import pytest

from benchmarks import alternatives
from benchmarks import sizes
from benchmarks.__main__ import Options

SMALL = {
    "BATCH": 2,
    "LENGTH": 200,  # the positions of `decoded_rows` go up to 171
    "WIDTH": 16,
    "KEY_DIM": 4,
    "HEADS": 2,
    "VOCABULARY": 1000,
    "ROWS": 20,
}
OTHER_OBJECTIVE = {"candidates"}


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch):
    for name, value in SMALL.items():
        monkeypatch.setattr(sizes, name, value)


@pytest.mark.parametrize("part", alternatives.PARTS)
def test_all_ways_compute_the_same(part):
    ways, arguments = alternatives.PARTS[part]()
    if isinstance(ways, list):
        ways = {way.__name__: way for way in ways}
    own, *others = [
        np.asarray(way(*arguments))
        for name, way in ways.items()
        if name not in OTHER_OBJECTIVE
    ]
    assert np.abs(own).max() > 0
    assert others
    for other in others:
        np.testing.assert_allclose(other, own, rtol=1e-4, atol=1e-5)


def test_a_case_measures_every_way_and_xla():
    outcome = alternatives.measure(["layers", "float32"], Options(calls=1))
    assert list(outcome) == ["unstack", "slices", "unstack, XLA"]
    table = alternatives.rows({"alternatives:layers:float32": outcome})
    assert [row["way"] for row in table] == list(outcome)
    assert table[0]["of the package's"] == 1
