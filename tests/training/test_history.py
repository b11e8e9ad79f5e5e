"""history.csv."""

from glomo_keras.training import read_history
from glomo_keras.training import write_history


def test_columns_are_those_of_any_row(tmp_path):
    rows = [
        {"epoch": 0, "loss": 0.1},
        {"epoch": 1, "loss": 1 / 3, "val_loss": float("inf")},
    ]
    write_history(tmp_path / "history.csv", rows)
    text = (tmp_path / "history.csv").read_text()
    assert text.splitlines()[:2] == ["epoch,loss,val_loss", "0,0.1,"]
    assert read_history(tmp_path / "history.csv") == rows
