import keras
import pytest

from benchmarks import __main__ as main
from benchmarks import extraction
from benchmarks import measuring
from benchmarks import pretraining
from benchmarks import scale
from benchmarks import tasks
from benchmarks import transfer

SIZES = {
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 4,
    "num_conv_layers": 1,
    "vocabulary_size": 50,
}
WINDOWS = {**SIZES, "batch_size": 2, "length": 16, "num_positions": 4}


@pytest.fixture(autouse=True)
def policy():
    """Leaves the dtype policy of before."""
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["package", "plain"])
def test_pretraining_step_is_measured(model):
    result = pretraining.measure(
        model, "small", "mixed_bfloat16", 1, eager=True, **WINDOWS
    )
    assert result["tokens_per_second"] == 2 * 16 / result["seconds"]
    assert result["peak_megabytes"] > 100
    assert result["cpu_seconds"] > 0
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


@pytest.mark.slow
@pytest.mark.parametrize("model", ["package", "plain", "plain_xla"])
def test_compiled_pretraining_step_is_measured(model):
    result = pretraining.measure(model, "base", "float32", 1, **WINDOWS)
    assert result["tokens_per_second"] > 0


@pytest.mark.parametrize("config", pretraining.CONFIGS)
def test_sizes_are_those_of_the_recipe(config):
    sizes = pretraining.sizes_of(config)
    assert sizes["embedding_dim"] == {"small": 128}.get(config, 512)
    assert (sizes["num_positions"] is None) == (config == "base_100k")


def test_preparation_of_a_corpus_is_measured(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")  # set by the case
    result = scale.measure("prepare", "processes", 1, 1, num_words=3000)
    assert result["words_per_second"] == 3000 / result["seconds"]


@pytest.mark.slow
def test_pretraining_by_one_process_is_measured(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # set by the case
    result = scale.measure("pretrain", "tensorflow", 1, 1, steps=1, **WINDOWS)
    assert result["words_per_second"] == 2 * 16 / result["seconds"]


@pytest.mark.slow
def test_pretraining_by_two_processes_is_measured(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    result = scale.measure("pretrain", "tensorflow", 2, 1, steps=1, **WINDOWS)
    assert result["words_per_second"] == 2 * 16 / result["seconds"]


def test_extraction_is_measured():
    result = extraction.measure("factored", 16, "float32", 1, **SIZES)
    assert result["tokens_per_second"] == 8 * 16 / result["seconds"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["factored", "materialised", "products"])
def test_transfer_is_measured(form):
    result = transfer.measure(form, 16, "float32", 1, width=8, key_dim=1)
    assert result["seconds"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", tasks.CASES)
def test_step_of_a_task_is_measured(name):
    result = tasks.measure(name, 1, batch_size=2, length=8, hidden_dim=4)
    assert result["seconds"] > 0


def test_function_is_warmed_up_and_called_as_often_as_asked():
    calls = []
    result = measuring.time_calls(lambda: calls.append(1), 3, least_seconds=0)
    assert len(calls) == 2 + 3
    assert result["seconds"] >= 0


def test_quick_function_is_called_more_often():
    calls = []
    measuring.time_calls(lambda: calls.append(1), 1, least_seconds=0.05)
    assert len(calls) > 10


def test_unknown_case_is_refused():
    with pytest.raises(ValueError, match="Received: case='nothing'"):
        main.main(main.Options(case="nothing"))


def test_pattern_that_fits_no_case_is_refused():
    with pytest.raises(ValueError, match="Received: cases='nothing'"):
        main.main(main.Options(cases=("nothing",)))


def test_checkout_without_a_benchmark_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: against="):
        main.main(main.Options(against=tmp_path))


def test_comparison_runs_the_cases_of_the_package(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    cases = main.find_cases(main.Options(against=tmp_path))
    assert "pretrain:package:base:mixed_bfloat16" in cases
    assert not any("plain" in case for case in cases)


def make_checkout(folder, lines):
    """A checkout whose benchmark is the lines of a program."""
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks/__main__.py").write_text("\n".join(lines))
    return folder


def measuring_checkout(folder, seconds):
    """A checkout that measures these numbers, and says that it did."""
    return make_checkout(
        folder,
        [
            "import pathlib",
            "with pathlib.Path('../order').open('a') as file:",
            f"    file.write('{folder.name}')",
            f'print(\'{{"seconds": {seconds}, "cpu_seconds": 1.0, '
            '"peak_megabytes": 100.0}\')',
        ],
    )


def test_checkouts_are_measured_in_turn_and_compared(tmp_path):
    roots = [
        measuring_checkout(tmp_path / "A", 1.5),
        measuring_checkout(tmp_path / "B", 2.0),
    ]
    options = main.Options(rounds=2, out=tmp_path / "table.csv")
    (row,) = main.run_cases(["some:case"], roots, options)
    assert (tmp_path / "order").read_text() == "ABAB"
    assert (row["seconds A"], row["seconds B"]) == (1.5, 2.0)
    assert row["seconds A / B"] == 0.75
    assert row["peak_megabytes A / B"] == 1.0


def test_failed_case_is_reported_and_the_others_go_on(tmp_path, capsys):
    lines = ["raise SystemExit('no memory')"]
    roots = [make_checkout(tmp_path / "A", lines)]
    options = main.Options(out=tmp_path / "table.csv")
    rows = main.run_cases(["some:case", "other:case"], roots, options)
    assert [row["failed"] for row in rows] == ["exit status 1"] * 2
    assert "no memory" in capsys.readouterr().err
    assert len(options.out.read_text().splitlines()) == 3


def test_case_that_takes_too_long_is_ended(tmp_path):
    root = make_checkout(tmp_path / "A", ["import time", "time.sleep(60)"])
    options = main.Options(time_limit=0.2)
    assert main.measure_apart("some:case", root, options) == {
        "failed": "longer than 0.2 s"
    }


def test_table_is_written(tmp_path):
    rows = [{"case": "a", "seconds": 1.0}, {"case": "b", "failed": "why"}]
    main.write(rows, tmp_path / "new/table.csv")
    written = (tmp_path / "new/table.csv").read_text().splitlines()
    assert written == ["case,seconds,failed", "a,1.0,", "b,,why"]


def test_ratios_are_of_what_was_measured():
    case = {"seconds": 3.0, "words_per_second": 5.0}
    row = main.make_row("scale:prepare", case, {**case, "seconds": 2.0})
    assert row["seconds A / B"] == 1.5
    assert "cpu_seconds A / B" not in row
    row = main.make_row("scale:prepare", {"failed": "out of memory"}, case)
    assert "seconds A / B" not in row
