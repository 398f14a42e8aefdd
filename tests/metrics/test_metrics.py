import math

import numpy as np
import pytest

from hydrometer import metrics, registry
from hydrometer.metrics.lrs import robust_score
from hydrometer.types import ArmResult, HydrometerError

SUBJECT, RANDOM, HARD = (0.60, 0.64, 0.62), (0.40, 0.38, 0.45), (0.50, 0.52, 0.48)
FULL = (0.84, 0.86)


def arm(name, accuracy, seeds=None):
    return ArmResult(
        name=name,
        set_digest=("s",),
        recipe_digest="r",
        lr=0.1,
        seeds=tuple(range(len(accuracy))) if seeds is None else seeds,
        accuracy=tuple(accuracy),
        val_accuracy=tuple(accuracy),
        diverged=0,
        runs=(),
    )


def arms(**accuracies):
    return {name: arm(name, values) for name, values in accuracies.items()}


SOFT = arms(subject=SUBJECT, random=RANDOM, full=FULL, subject_hard=HARD)


def robust_by_hand(gain):
    return (math.exp(gain) - math.exp(-1)) / (math.exp(1) - math.exp(-1))


def test_accuracy_by_hand():
    assert metrics.estimate("accuracy", SOFT).value == pytest.approx(0.62)


def test_hlr_by_hand():
    assert metrics.estimate("hlr", SOFT).value == pytest.approx(0.85 - 0.50)


def test_ior_by_hand():
    assert metrics.estimate("ior", SOFT).value == pytest.approx((0.20 + 0.26 + 0.17) / 3)


@pytest.mark.parametrize("w", [0.5, 0.2, 1.0])
def test_lrs_by_hand(w):
    scores = [
        robust_by_hand(w * (s - r) - (1 - w) * (0.85 - h))
        for s, r, h in zip(SUBJECT, RANDOM, HARD, strict=True)
    ]
    assert metrics.estimate(f"lrs(w={w})", SOFT).value == pytest.approx(sum(scores) / 3)


def test_ars_by_hand():
    given = arms(subject_aug=SUBJECT, random_aug=RANDOM, subject_naug=HARD, random_naug=RANDOM)
    scores = [
        robust_by_hand(0.5 * (s - r) + 0.5 * (h - r))
        for s, r, h in zip(SUBJECT, RANDOM, HARD, strict=True)
    ]
    assert metrics.estimate("ars", given).value == pytest.approx(sum(scores) / 3)


def test_no_gain_scores_0_269():
    flat = arms(subject=[0.5] * 5, random=[0.5] * 5, full=[0.5] * 5)
    assert metrics.estimate("lrs", flat).value == pytest.approx(0.269, abs=5e-4)
    assert robust_score(np.array([-1.0, 0.0, 1.0])) == pytest.approx([0, 0.26894, 1], abs=1e-5)


@pytest.mark.parametrize(
    ("hlr", "ior", "published"),
    [(0.2373, 0.3090, 0.284), (0.2684, 0.3505, 0.287), (0.6986, -0.0027, 0.143)],
    ids=["MTT IPC 10", "DATM IPC 10", "SRe2L IPC 1"],
)
def test_lrs_of_the_published_leaderboard(hlr, ior, published):
    row = arms(subject=[0.5], random=[0.5 - ior], full=[0.8], subject_hard=[0.8 - hlr])
    assert metrics.estimate("lrs", row).value == pytest.approx(published, abs=5e-4)
    assert metrics.estimate("hlr", row).value == pytest.approx(hlr)
    assert metrics.estimate("ior", row).value == pytest.approx(ior)


def test_subject_stands_in_for_a_missing_hard_arm():
    hard = {name: SOFT[name] for name in ("subject", "random", "full")}
    both = hard | {"subject_hard": SOFT["subject"]}
    assert metrics.estimate("lrs", hard) == metrics.estimate("lrs", both)
    assert metrics.estimate("lrs", hard) != metrics.estimate("lrs", SOFT)


def test_arms_with_the_same_seeds_are_resampled_together():
    x = np.array([0.3, 0.5, 0.6, 0.4, 0.7])
    found = metrics.estimate("ior", arms(subject=x + 0.1, random=x))
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))
    assert found.n == 5


def test_arms_with_other_seeds_are_resampled_apart():
    x = (0.3, 0.5, 0.6, 0.4, 0.7)
    paired = {"full": arm("full", x), "subject_hard": arm("subject_hard", x)}
    apart = paired | {"full": arm("full", x, seeds=(5, 6, 7, 8, 9))}
    assert metrics.estimate("hlr", paired).high == pytest.approx(0)
    assert metrics.estimate("hlr", apart).high > 0.1


def test_one_seed_shows_all_possible_values():
    found = metrics.estimate("hlr", arms(full=[0.8], subject_hard=[0.5, 0.6]))
    assert (found.low, found.high, found.n) == (-1, 1, 1)


def test_the_same_seed_gives_the_same_digits():
    first, again, other = (metrics.estimate("lrs", SOFT, seed=s) for s in (0, 0, 1))
    assert first == again
    assert first.value == other.value


def test_a_lower_level_is_narrower():
    x = arms(subject=np.linspace(0.3, 0.6, 12))
    wide, narrow = (metrics.estimate("accuracy", x, level=level) for level in (0.99, 0.5))
    assert narrow.level == 0.5
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        ("lrs", arms(subject=[0.5], random=[0.4]), r"missing: full; given: subject, random"),
        ("accuracy", {}, "missing: subject; given: none"),
        ("accuracy", arms(subject=[]), "arm subject must have one accuracy"),
        ("ior", arms(subject=[0.5, 0.6], random=[0.4]), r"subject has \(0, 1\); random has \(0,\)"),
        ("lrs(w=1.5)", SOFT, r"w=1.5 is not a share"),
        ("lrs(v=0.5)", SOFT, "no weight 'v'; known: w"),
        ("lrs(random=0.5)", SOFT, "no weight 'random'"),
        ("lrs(w=much)", SOFT, "'much', not a number"),
        ("accuracy(w=1)", SOFT, "known: none"),
        ("lrz", SOFT, "did you mean 'lrs'"),
    ],
)
def test_mistakes_are_explained(text, given, message):
    with pytest.raises(HydrometerError, match=message):
        metrics.estimate(text, given)


def test_a_metric_without_description_is_refused(monkeypatch):
    monkeypatch.setitem(registry._found["metric"], "bare", lambda subject: subject)
    with pytest.raises(HydrometerError, match="'bare' lacks @describe"):
        metrics.find("bare")


@pytest.mark.parametrize("name", registry.names("metric"))
def test_every_metric_keeps_its_promises(name):
    metric = metrics.find(name)
    rng = np.random.default_rng(0)
    inputs = [rng.random((40, 2, 6)) for _ in metric.arms]
    values = metric.function(*inputs)
    assert metric.name == name
    assert values.shape == (40, 2)
    assert values[7, 1] == pytest.approx(metric.function(*(x[7, 1] for x in inputs)))
    corners = [rng.integers(2, size=(500, 3)).astype(float) for _ in metric.arms]
    low, high = metric.bounds
    assert low <= metric.function(*corners).min() < metric.function(*corners).max() <= high
    assert set(metric.own_seeds) <= set(metric.arms)


@pytest.mark.parametrize("name", ["accuracy", "hlr", "ior", "lrs"])
def test_a_better_subject_is_read_as_better(name):
    better = SOFT | arms(subject=[x + 0.1 for x in SUBJECT], subject_hard=[x + 0.1 for x in HARD])
    gain = metrics.estimate(name, better).value - metrics.estimate(name, SOFT).value
    assert (gain > 0) == metrics.find(name).higher_is_better
