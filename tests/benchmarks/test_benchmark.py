import csv
import json
import subprocess

import keras
import pytest

from benchmarks import __main__ as main
from benchmarks import apart
from benchmarks import ceiling
from benchmarks import machine
from benchmarks import measuring
from benchmarks import pretraining
from benchmarks import scores
from benchmarks import sentence
from benchmarks import summary
from benchmarks import tables
from benchmarks.flops import training_flops
from recipes.pretrain import text_options

TINY = {
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 4,
    "num_conv_layers": 1,
    "vocabulary_size": 50,
    "max_length": 40,
}
HEADLINE = "base:20000:sampled"


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Small models, short times, and the dtype policy of before."""
    monkeypatch.setattr(measuring, "LEAST_SECONDS", 0)
    monkeypatch.setattr(measuring, "SLOW_SECONDS", 0)
    monkeypatch.setitem(text_options.CONFIGS, "small", TINY)
    monkeypatch.setattr(ceiling, "SIZE", 64)
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


def measured(case, **kwargs):
    return main.measure(main.Options(case=case, calls=1, **kwargs))


def measured_step(model, precision):
    return measured(f"pretrain:{model}:small:50:sampled:{precision}:2")


@pytest.mark.parametrize("model", ["package", "plain"])
def test_pretraining_step_is_measured(model, monkeypatch):
    build = pretraining.build

    def build_eager(case, sizes):  # to trace a step takes many seconds
        made = build(case, sizes)
        made.run_eagerly = True
        return made

    monkeypatch.setattr(pretraining, "build", build_eager)
    result = measured_step(model, "mixed_bfloat16")
    assert result["tokens_per_second"] == 2 * 40 / result["seconds"]
    assert result["peak_megabytes"] > 100
    assert result["cpu_seconds"] > 0
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


@pytest.mark.slow
@pytest.mark.parametrize("model", pretraining.MODELS)
def test_compiled_pretraining_step_is_measured(model):
    result = measured_step(model, "float32")
    assert result["tokens_per_second"] > 0
    if model != "package":
        assert result["jit_compile"] == (model == "plain_jit")


def test_graph_extraction_is_measured():
    result = measured("extraction:small:factored:16:float32")
    assert result["tokens_per_second"] == 8 * 16 / result["seconds"]


def test_scores_are_measured_in_turn(monkeypatch):
    monkeypatch.setattr(scores, "KEY_DIM", 4)
    monkeypatch.setattr(scores, "WIDTH", 8)
    result = measured("scores:16:float32")
    cpu = {f"{kind}_cpu" for kind in scores.KINDS}
    assert set(result) == {*scores.KINDS, *cpu}
    assert min(result.values()) > 0


@pytest.mark.parametrize("form", ["factored", "materialised", "products"])
def test_transfer_is_measured(form):
    result = measured(f"transfer:{form}:16:float32")
    assert result["seconds"] > 0


def test_pipeline_of_random_words_is_measured():
    assert measured("pipeline:small")["tokens_per_second"] > 0


@pytest.mark.parametrize("way", sentence.WAYS)
def test_sentence_is_measured(way, monkeypatch):
    monkeypatch.setattr(sentence, "LEAST_CALLS", 1)
    assert 0 < measured(f"sentence:{way}")["seconds"] < 60


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_ceiling_is_measured(precision):
    assert measured(f"ceiling:{precision}")["gflops"] > 0


@pytest.mark.parametrize("case", ["nothing:1", "pretrain:other:small:9:all:f"])
def test_unknown_case_is_refused(case):
    with pytest.raises(ValueError, match="Received: (case|model)="):
        measured(case)


def test_median_of_at_least_so_many_calls(monkeypatch):
    clock = iter([0, 1, 10, 13, 20, 22, 30, 35])  # seconds 1 | 3, 2, 5
    monkeypatch.setattr(measuring, "SLOW_SECONDS", 1)
    monkeypatch.setattr(
        measuring, "_time", lambda f: (-next(clock) + next(clock), 1)
    )
    result = measuring.time_calls(lambda: None, 3)
    assert result == {
        "seconds": 3,
        "cpu_seconds": 1,
        "fastest": 2,
        "calls": 3,
    }


@pytest.mark.parametrize(
    ("done", "seconds", "enough"),
    [(4, 3, False), (5, 1, False), (5, 3, True), (3, 21, True), (2, 21, False)],
)
def test_when_timing_ends(done, seconds, enough, monkeypatch):
    monkeypatch.setattr(measuring, "LEAST_SECONDS", 2)
    assert measuring._is_enough(done, 5, seconds) == enough


def test_flops_of_an_example_by_hand():
    flops = training_flops(
        vocabulary_size=10,
        embedding_dim=2,
        num_heads=1,
        key_dim=3,
        num_conv_layers=1,
        batch_size=1,
        length=4,
        num_positions=1,
        num_graph_layers=2,
        context_length=1,
        num_decoder_layers=1,
    )
    convolutions = 4 * 2 * 3 * 2 * 2
    keys = 4 * 2 * (2 * 3)
    # A row: query 2 x 3, scores 3 x 4, sum 2 x 4, GRU cell (4 + 2) x 6.
    rows = (4 + 1) * (6 + 12 + 8 + 36)
    decoder = 2 * 6 + 10 * 2  # one GRU step fed zeros, one softmax
    assert flops == 2 * 3 * 2 * (convolutions + keys + rows + decoder)


def test_flops_of_the_base_model_as_counted_before():
    """docs/performance.md, section 1, in d^2 per token and direction."""
    sizes = {
        "embedding_dim": 512,
        "num_heads": 8,
        "key_dim": 256,
        "num_conv_layers": 4,
    }
    flops = training_flops(
        vocabulary_size=20_000, batch_size=1, length=200, trimmed=False, **sizes
    )
    per_token = flops / (2 * 3 * 2 * 200 * 512**2)
    assert per_token == pytest.approx(81 + 33 + 117, rel=0.005)


@pytest.mark.parametrize(
    ("code", "errors", "reason"),
    [
        (-9, "", "out of memory"),
        (1, "x\nMemoryError: std::bad_alloc", "out of memory"),
        (1, "OOM when allocating tensor", "out of memory"),
        (1, "ValueError: x", "error 1"),
    ],
)
def test_failed_child_is_reported(code, errors, reason, monkeypatch):
    monkeypatch.setattr(
        apart.subprocess,
        "run",
        lambda command, **kwargs: subprocess.CompletedProcess(
            command, code, "", errors
        ),
    )
    outcome = apart.measure_apart("ceiling:float32", [], 10)
    assert outcome["failed"] == reason
    assert outcome["message"] == errors


def test_slow_child_is_ended():
    outcome = apart.measure_apart("ceiling:float32", [], 0.01)
    assert outcome["failed"].startswith("longer than")


def fake_child(case, arguments, time_limit):
    """The plain model with a large vocabulary runs out of memory."""
    if case.startswith("pretrain:plain:base:100000:all:float32"):
        return {"failed": "out of memory", "message": ""}
    speed = 150.0 if "package" in case else 100.0
    if "bfloat16" in case:
        speed *= 1.1
    length = int(case.split(":")[2]) if case.startswith("transfer") else 0
    return {
        "tokens_per_second": 1e6 if "pipeline" in case else speed,
        "seconds": 1.0 if "factored" in case else 3.0,
        "cpu_seconds": 2.0,
        "peak_megabytes": 1000.0 if "package" in case else 2000.0,
        "added_megabytes": float(length),
        "length": 200,
        "gflop": 300.0,
        "gflops": 200.0,
        "jit_compile": False,
        "graph": 1.0,
        "softmax": 0.5,
        "attention": 2.0,
    }


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A whole run of fake children: folder, and what was printed."""
    monkeypatch.setattr(apart, "measure_apart", fake_child)
    main.benchmark(main.Options(out=tmp_path / "new"))
    return tmp_path / "new", capsys.readouterr().out


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_run_writes_a_table_per_section(run):
    folder, _ = run
    for name in (*main.DEFAULT, "utilisation", "summary"):
        assert read(folder / f"{name}.csv")
    assert json.loads((folder / "machine.json").read_text())["cores"] >= 1
    cases = json.loads((folder / "cases.json").read_text())
    assert f"pretrain:package:{HEADLINE}:float32:16" in cases


def test_pretraining_table_has_the_ratios(run):
    folder, _ = run
    rows = read(folder / "pretrain.csv")
    assert len(rows) == 2 * 2 * 2 * 2  # config, V, positions, precision
    row = rows[1]
    assert row["precision"] == "mixed_bfloat16"
    assert float(row["speedup"]) == pytest.approx(1.5)
    assert float(row["over_float32"]) == pytest.approx(1.65)
    assert float(row["memory"]) == 0.5


def test_utilisation_is_the_share_of_the_ceiling(run):
    row = read(run[0] / "utilisation.csv")[0]
    assert float(row["package_gflop/s"]) == 100  # 300 GFLOP in 3 s
    assert float(row["package_share"]) == 0.5  # of 200 GFLOP/s


def test_case_out_of_memory_is_reported_and_the_run_goes_on(run):
    folder, printed = run
    row = read(folder / "pretrain.csv")[-2]
    assert (row["V"], row["positions"]) == ("100000", "all")
    assert row["plain"] == row["plain_mb"] == row["memory"] == "out of memory"
    assert float(row["package_mb"]) == 1000
    assert "Quantity vs target" in printed


def test_summary_compares_with_the_targets(run):
    rows = read(run[0] / "summary.csv")
    met = {row["quantity"]: row["met"] for row in rows}
    values = list(met.values())
    assert values[:4] == ["yes", "NO", "", "yes"]
    assert values[4:10] == ["NO"] * 6  # graphs at twice the cost of softmax
    assert values[10:] == ["yes"] * 5 + ["NO"]  # three seconds for a sentence


def test_summary_says_what_was_not_measured():
    rows = summary.rows({})
    assert {row["value"] for row in rows} == {"not measured"}
    assert {row["met"] for row in rows} == {""}


def test_faster_plain_model_is_the_one_compared_with():
    outcomes = {
        f"pretrain:{model}:small:9:all:float32:1": {"tokens_per_second": speed}
        for model, speed in (
            ("package", 30.0),
            ("plain", 10.0),
            ("plain_jit", 20.0),
        )
    }
    (row,) = pretraining.rows(outcomes)
    assert row["speedup"] == 1.5


def test_quick_run_is_short(tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "measure_apart", fake_child)
    outcomes = main.benchmark(main.Options(quick=True, out=tmp_path))
    assert len(outcomes) < 30
    assert not any("base" in case for case in outcomes)


def test_arguments_of_a_case_are_understood():
    import tyro

    options = main.Options(length=7, small_batch=3)
    again = tyro.cli(main.Options, args=main.arguments(options))
    assert again == options


def test_table_is_aligned_and_short(capsys):
    rows = [{"a": 1234.5, "b": "x"}, {"a": 0.12345, "b": ""}]
    tables.print_table("Title", rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == ["Title", "     a  b", " 1,234  x"]


def test_busy_machine_is_warned_of(capsys, monkeypatch):
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (3.0, 0, 0))
    described = machine.describe_machine()
    machine.print_machine(described)
    assert "WARNING" in capsys.readouterr().out
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (0.1, 0, 0))
    machine.print_machine(machine.describe_machine())
    assert "WARNING" not in capsys.readouterr().out
