import dataclasses

import numpy as np
import pytest

import glomo_keras as gk
from recipes.graphs import fresh_features
from recipes.graphs import transfer_perplexity

WORDS = ["<pad>", "<unk>", *(f"w{i}" for i in range(10))]


def write_text(path, seed):
    rng = np.random.default_rng(seed)
    path.write_text(" ".join(rng.choice(WORDS[2:], 400)), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer")
    predictor = gk.GraphPredictor(
        len(WORDS),
        embedding_dim=8,
        num_heads=2,
        key_dim=4,
        num_conv_layers=1,
        num_graph_layers=2,
    )
    predictor.vocabulary = WORDS
    predictor.tokenizer_config = {"lowercase": True, "numbers": "keep"}
    predictor.save_to_preset(folder / "preset")
    return transfer_perplexity.Options(
        corpus=(write_text(folder / "train.txt", 0),),
        held_out=(write_text(folder / "held_out.txt", 1),),
        predictor=str(folder / "preset"),
        out=folder / "out",
        cache=folder / "cache",
        sources=("learned", "uniform"),
        uses=("pretraining",),
        seeds=1,
        embedding_dim=8,
        steps=1,
        batch_size=2,
        max_length=8,
        num_positions=3,
        num_candidates=0,
        held_out_windows=4,
    )


@pytest.fixture(scope="module")
def rows(options):
    return transfer_perplexity.main(options)


def test_table_has_a_row_for_each_source(options, rows):
    assert [row["graphs"] for row in rows] == ["learned", "uniform"]
    for row in rows:
        assert 1 < row["perplexity"] < 100
    ratio = rows[0]["perplexity"] / rows[1]["perplexity"]
    assert rows[0]["/ uniform"] == f"{ratio:.3f}"
    assert rows[1]["/ uniform"] == "" and "/ decay" not in rows[0]
    table = (options.out / "table.md").read_text("utf-8")
    assert table.count("\n") == 4 and f"| {ratio:.3f} " in table


def test_other_vectors_in_the_same_file_are_other_settings(options, tmp_path):
    vectors = tmp_path / "vectors.txt"
    run = dataclasses.replace(options, vectors=vectors)
    predictor = gk.GraphPredictor.from_preset(run.predictor)
    train, held_out = transfer_perplexity.load(run, predictor)
    settings = set()
    for text in ("w0 1.0 2.0", "w0 2.0 1.0", "w0 2.0 1.0"):
        vectors.write_text(text)
        settings.add(transfer_perplexity.settings_of(run, train, held_out))
    assert len(settings) == 2


def test_an_empty_table_of_runs_gets_its_header(tmp_path):
    path = tmp_path / "runs.csv"
    path.touch()  # a kill before the first line leaves this
    run = {"use": "heads", "seed": 1, "perplexity": 2.0, "settings": "x"}
    transfer_perplexity.write_run(path, run)
    assert transfer_perplexity.read_runs(path, "x") == [run]


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 9])
def test_a_row_that_was_cut_off_is_made_again(tmp_path, cut):
    path = tmp_path / "runs.csv"
    run = {"use": "heads", "seed": 1, "perplexity": 2.0, "settings": "a, b"}
    for seed in (1, 2):
        transfer_perplexity.write_run(path, {**run, "seed": seed})
    path.write_bytes(path.read_bytes()[:-cut])
    (found,) = transfer_perplexity.read_runs(path, "a, b")
    assert found["seed"] == 1
    transfer_perplexity.write_run(path, {**run, "seed": 3})
    found = transfer_perplexity.read_runs(path, "a, b")
    assert [row["seed"] for row in found] == [1, 3]


def test_table_is_gone_while_it_is_not_whole(options, rows, monkeypatch):
    """Until then it could be of another predictor."""
    table = options.out / "table.md"
    whole = table.read_text("utf-8")
    more = dataclasses.replace(options, seeds=options.seeds + 1)

    def kill(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(transfer_perplexity.fresh_features, "measure", kill)
        with pytest.raises(KeyboardInterrupt):
            transfer_perplexity.main(more)
    assert not table.exists()
    transfer_perplexity.main(options)
    assert table.read_text("utf-8") == whole


def test_finished_runs_are_not_made_again(options, rows, monkeypatch):
    path = options.out / "runs.csv"
    lines = path.read_text("utf-8")
    assert lines.count("\n") == 1 + 2
    with monkeypatch.context() as patch:
        patch.setattr(transfer_perplexity.fresh_features, "measure", None)
        assert transfer_perplexity.main(options) == rows
    assert path.read_text("utf-8") == lines


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("learned", gk.models.PredictedGraphs),
        ("untrained", gk.models.PredictedGraphs),
        ("decay", gk.layers.DistanceDecayGraph),
        ("uniform", gk.layers.DistanceDecayGraph),
        ("none", type(None)),
    ],
)
def test_sources_have_as_many_layers_and_heads(options, source, kind):
    predictor = gk.GraphPredictor.from_preset(options.predictor)
    made = fresh_features.make_source(source, predictor, ("forward",))
    assert isinstance(made, kind)
    if kind is gk.layers.DistanceDecayGraph:
        assert (made.num_layers, made.num_heads) == (2, 2)
    if kind is gk.models.PredictedGraphs:
        same = [
            np.array_equal(a, b)
            for a, b in zip(
                predictor.get_weights(), made.get_weights(), strict=True
            )
        ]
        assert all(same) == (source == "learned")


def test_ratio_is_paired_by_seed_with_the_interval_of_student():
    own, others = (
        {0: 8.0, 1: 18.0, 2: 30.0, 3: 1.0},
        {2: 30.0, 1: 20.0, 0: 10.0},
    )
    text = transfer_perplexity.ratio(own, others)
    assert text == "0.896 (0.679 to 1.183)"


def test_no_use_is_refused(options):
    with pytest.raises(ValueError, match="--uses is one or more"):
        transfer_perplexity.main(dataclasses.replace(options, uses=()))


def test_vectors_that_heads_cannot_share_are_refused(options, tmp_path):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("the 1.0 2.0 3.0\na 1.0 2.0 3.0\n")
    changes = {"uses": ("pretraining",), "vectors": vectors}
    with pytest.raises(ValueError, match="a multiple of the 2.*width=3"):
        transfer_perplexity.main(dataclasses.replace(options, **changes))


def test_features_that_heads_cannot_share_are_refused(options):
    other = dataclasses.replace(options, uses=("pretraining",), embedding_dim=9)
    with pytest.raises(ValueError, match="a multiple of the 2 heads.*=9"):
        transfer_perplexity.main(other)


def test_predictor_without_a_vocabulary_is_refused(options, tmp_path):
    predictor = gk.GraphPredictor(20, 8, 2, 4, num_conv_layers=1)
    predictor.save_to_preset(tmp_path / "preset")
    other = dataclasses.replace(options, predictor=str(tmp_path / "preset"))
    with pytest.raises(ValueError, match="with its vocabulary and.*Received"):
        transfer_perplexity.main(other)
