import functools
import math
import statistics
import sys

import numpy as np
import pytest

import tiny
from hydrometer.methods.recording import Recording, Trace, record
from hydrometer.methods.select import dynamics
from hydrometer.methods.select.aum import aum, aum_difficulty, aum_scores
from hydrometer.methods.select.cad import cad, cad_scores
from hydrometer.methods.select.ccs import ccs, ccs_rows, default_cutoff
from hydrometer.methods.select.dual import dual, dual_scores, dual_weights
from hydrometer.methods.select.dyn_unc import dyn_unc, dyn_unc_scores
from hydrometer.methods.select.el2n import el2n, el2n_scores
from hydrometer.methods.select.forgetting import forgetting, forgetting_scores
from hydrometer.methods.select.loss import loss, loss_scores
from hydrometer.methods.select.tdds import tdds, tdds_scores
from hydrometer.methods.stream import FIELDS
from hydrometer.types import Budget, HydrometerError

SOURCE = tiny.source(classes=3, per_class=10)
EPOCHS = 4
METHODS = (el2n, forgetting, aum, loss, ccs, dyn_unc, dual, tdds, cad)
E, N = 7, 9
P = np.random.default_rng(0).random((E, N))


def stretches(column, size):
    return [column[s : s + size] for s in range(len(column) - size + 1)]


def by_column(score):
    """An oracle for (e, n) from one for a list of e numbers."""
    return [score(column) for column in P.T.tolist()]


def make(method, budget=None, seed=0, **how):
    rng = np.random.default_rng(seed)
    return method(SOURCE, budget or Budget(per_class=2), **{"epochs": EPOCHS, **how}, rng=rng)


def test_means_over_epochs():
    expected = by_column(statistics.fmean)
    assert el2n_scores(P) == pytest.approx(expected)
    assert loss_scores(P) == pytest.approx(expected)
    assert aum_scores(P) == pytest.approx(expected)
    assert aum_difficulty(P) == pytest.approx([-x for x in expected])


def test_passes_of_training_are_a_choice_that_the_card_names():
    for method in METHODS:
        clean, augmented = make(method), make(method, passes="augmented")
        assert "passes" not in clean.card.method
        assert "passes=augmented" in augmented.card.method
        assert any("train-mode augmented" in note for note in augmented.card.notes)
        with pytest.raises(HydrometerError, match="passes"):
            make(method, passes="dirty")


def test_forgetting_counts_events_and_never_learnt_is_hardest():
    right = np.random.default_rng(1).integers(0, 2, (E, N)).astype(float)
    right[:, 0], right[:, 1] = 0, 1
    for found, column in zip(forgetting_scores(right), right.T.tolist(), strict=True):
        events = sum(1 for e in range(E - 1) if column[e] == 1 and column[e + 1] == 0)
        assert found == (E if sum(column) == 0 else events)
    assert forgetting_scores(right).argmax() == 0


def test_dyn_unc_is_the_mean_deviation_in_windows():
    def score(column):
        return statistics.fmean(statistics.pstdev(w) for w in stretches(column, 3))

    assert dyn_unc_scores(P, window=3) == pytest.approx(by_column(score))
    assert dyn_unc_scores(P, window=50) == pytest.approx(by_column(statistics.pstdev))


def test_cad_is_the_same_over_the_last_windows():
    def score(column):
        return statistics.fmean(statistics.pstdev(w) for w in stretches(column, 3)[-2:])

    assert cad_scores(P, window=3, last=2) == pytest.approx(by_column(score))


def test_dual_weighs_deviation_with_difficulty():
    def score(column):
        return statistics.fmean(
            statistics.pstdev(w) * (1 - statistics.fmean(w)) for w in stretches(column, 4)
        )

    assert dual_scores(P, window=4) == pytest.approx(by_column(score))


def test_dual_weights_are_a_beta_density_times_the_score():
    rng = np.random.default_rng(2)
    scores, means = rng.random(30), rng.random(30)
    top = sorted(range(30), key=lambda i: -scores[i])[:10]
    b = 15 * (1 - statistics.fmean(means[top])) * (1 - 0.7**4)
    norm = math.gamma(16) / math.gamma(16 - b) / math.gamma(b)
    expected = [
        s * norm * m ** (15 - b) * (1 - m) ** (b - 1) for s, m in zip(scores, means, strict=True)
    ]
    assert dual_weights(scores, means, 0.7, 4.0) == pytest.approx(expected)


def test_dual_weights_stay_finite_for_images_learnt_at_once():
    assert np.isfinite(dual_weights(np.zeros(3), np.ones(3), 1.0, 4.0)).all()


def test_tdds_smooths_the_unevenness_of_windows():
    def score(column):
        total, all_windows = 0.0, stretches(column[1:], 2)
        for w, window in enumerate(all_windows):
            mean = statistics.fmean(window)
            spread = math.sqrt(sum((d - mean) ** 2 for d in window))
            total += 0.9 * 0.1 ** (len(all_windows) - 1 - w) * spread
        return total

    assert tdds_scores(P, window=3) == pytest.approx(by_column(score))


def test_ccs_drops_the_doubtful_and_covers_the_rest():
    doubt = np.arange(40.0)
    difficulty = np.repeat([0.0, 1, 2, 3], 10)
    labels = np.arange(40) % 2
    rows = ccs_rows(
        doubt, difficulty, labels, [3, 3], 0.25, 3, "class", rng=np.random.default_rng(0)
    )
    assert rows.max() < 30
    assert np.bincount(difficulty[rows].astype(int)).tolist() == [2, 2, 2]
    assert np.bincount(labels[rows]).tolist() == [3, 3]
    with pytest.raises(HydrometerError, match="15 of its 20 are left"):
        ccs_rows(doubt, difficulty, labels, [16, 0], 0.25, 3, "class", rng=np.random.default_rng(0))


def test_the_default_cutoff_never_stands_in_the_way_of_a_budget():
    labels = np.repeat([0, 1], [10, 20])
    assert default_cutoff(labels, [1, 1], "class") == pytest.approx(0.3)
    assert default_cutoff(labels, [10, 1], "class") == 0
    assert default_cutoff(labels, [5, 5], "class") == pytest.approx(1 / 6)
    assert default_cutoff(labels, [9, 9], "global") == pytest.approx(0.4 / 3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("budget", "size"),
    [(Budget(per_class=2), 6), (Budget(fraction=0.0), 0), (Budget(fraction=1.0), 30)],
    ids=str,
)
def test_every_score_meets_every_budget_from_one_recording(method, budget, size):
    made = make(method, budget)
    assert len(made) == size
    assert len(set(made.index.tolist())) == size
    assert made.digest == make(method, budget).digest
    recorded = record(SOURCE, epochs=EPOCHS)
    assert made.card.seconds > recorded.seconds
    assert made.card.notes == (recorded.note,)
    assert made.card.method.startswith(method.__name__.replace("_", "-") + "(")
    assert "epochs=4" in made.card.method


SCORES = [
    (el2n, el2n_scores, "error_norm", True),
    (forgetting, forgetting_scores, "correct", False),
    (aum, aum_difficulty, "margin", True),
    (loss, loss_scores, "loss", True),
    (dyn_unc, dyn_unc_scores, "label_probability", False),
    (tdds, tdds_scores, "shift", False),
    (cad, cad_scores, "label_probability", False),
    (functools.partial(dual, policy="hard"), dual_scores, "label_probability", False),
]


@pytest.mark.parametrize(("method", "formula", "field", "easy"), SCORES)
def test_each_keeps_its_own_end_of_its_own_score(method, formula, field, easy):
    scores = record(SOURCE, epochs=EPOCHS).score(formula, field)
    made = make(method)
    for label in range(3):
        members = np.flatnonzero(SOURCE.train.labels.numpy() == label)
        order = sorted(members, key=lambda i: (scores[i] if easy else -scores[i], i))
        assert made.index[made.labels == label].tolist() == order[:2]


DRAWN = [(dual, dual_scores, "label_probability", False), (ccs, aum_difficulty, "margin", True)]


@pytest.mark.parametrize(("method", "formula", "field", "easy"), [*SCORES, *DRAWN])
def test_every_score_is_the_mean_over_independent_runs(method, formula, field, easy, monkeypatch):
    generator = np.random.default_rng(0)
    card = record(SOURCE, epochs=EPOCHS).traces[0].card
    runs = [
        {name: generator.random((EPOCHS, 30)).astype(kind) for name, kind in FIELDS.items()}
        | {"correct": generator.random((EPOCHS, 30)) < 0.5}
        for _ in range(3)
    ]
    made_up = Recording(tuple(Trace(card, arrays) for arrays in runs))
    for module in (dynamics, sys.modules[ccs.__module__], sys.modules[dual.__module__]):
        monkeypatch.setattr(module, "record", lambda source, **how: made_up)
    found = make(method, Budget(fraction=1.0), runs=3, **({"cutoff": 0.0} if method is ccs else {}))
    alone = [formula(Trace(card, arrays).read(field, slice(None))) for arrays in runs]
    assert sorted(found.index.tolist()) == SOURCE.train.index.tolist()
    order = np.argsort(found.index.numpy())
    assert found.scores.numpy()[order] == pytest.approx(sum(alone) / 3)
    assert not np.allclose(alone[0], alone[1])
    assert "runs=3" in found.card.method


def test_only_a_draw_depends_on_the_generator():
    assert make(el2n, seed=0).digest == make(el2n, seed=1).digest
    drawn = {tuple(make(dual, seed=seed).index.tolist()) for seed in range(5)}
    assert len(drawn) > 1


@pytest.mark.parametrize(
    ("method", "how", "message"),
    [
        (forgetting, {"epochs": 1}, "give at least 2"),
        (tdds, {"epochs": 2}, "give at least 3"),
        (dual, {"cutoff": 0.1}, "does nothing under policy=beta"),
        (ccs, {"score": "size"}, "known: aum, el2n, forgetting"),
        (el2n, {"policy": "middling"}, "known: easy, hard"),
    ],
)
def test_mistakes_are_named(method, how, message):
    with pytest.raises(HydrometerError, match=message):
        make(method, **how)
