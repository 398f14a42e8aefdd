import numpy as np
import pytest

from hydrometer.methods.select.policy import (
    beta_parameter,
    even_shares,
    keep,
    sampling_keys,
    stratified,
    suspects,
)
from hydrometer.types import HydrometerError

POLICIES = ("easy", "hard", "middle", "window", "stratified", "beta", "random")
RNG = np.random.default_rng
LABELS = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
SCORES = np.array([5.0, 1, 4, 2, 3, 3, 2, 4, 1, 5])


def kept(counts, scores=SCORES, labels=LABELS, seed=0, **how):
    return keep(scores, labels, counts, rng=RNG(seed), **how).tolist()


def test_easy_and_hard_take_the_ends_of_each_class_in_order():
    assert kept([2, 3]) == [8, 6, 1, 3, 5]
    assert kept([2, 3], policy="hard") == [0, 2, 9, 7, 5]


def test_global_balance_ranks_all_classes_together():
    assert kept([3, 0], balance="global") == [1, 8, 3]
    assert kept([3, 0], balance="global", policy="hard") == [0, 9, 2]


def test_middle_starts_at_the_median():
    assert kept([3, 1], policy="middle") == [4, 2, 6, 5]


def test_window_skips_the_easiest_share():
    assert kept([2, 2], policy="window", offset=0.4) == [4, 2, 5, 7]


def test_cutoff_drops_the_hardest_before_the_policy_sees_them():
    assert kept([1, 1], policy="hard", cutoff=0.4) == [4, 5]
    assert kept([1, 1], policy="hard", cutoff=0.2, balance="global") == [2, 7]


@pytest.mark.parametrize("policy", ["easy", "hard", "middle", "window"])
def test_ties_go_by_row_number(policy):
    assert kept([2, 2], scores=np.ones(10), policy=policy) == [0, 2, 1, 3]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("balance", ["class", "global"])
@pytest.mark.parametrize("scores", [SCORES, np.full(10, 0.5), -SCORES], ids=["some", "same", "neg"])
def test_every_budget_is_met_exactly_by_distinct_rows(policy, balance, scores):
    for counts in ([0, 0], [1, 0], [2, 3], [5, 4], [5, 5]):
        rows = kept(counts, scores=scores, policy=policy, balance=balance)
        assert len(set(rows)) == len(rows) == sum(counts)
        if balance == "class":
            assert np.bincount(LABELS[rows], minlength=2).tolist() == counts


@pytest.mark.parametrize("policy", POLICIES)
def test_a_class_of_one_and_an_empty_class_are_kept_as_asked(policy):
    assert kept([1, 0], scores=np.array([0.3]), labels=np.array([0]), policy=policy) == [0]
    assert kept([0, 0], scores=np.empty(0), labels=np.empty(0, int), policy=policy) == []


@pytest.mark.parametrize("policy", POLICIES)
def test_the_generator_alone_decides_the_draw(policy):
    assert kept([2, 2], policy=policy, seed=3) == kept([2, 2], policy=policy, seed=3)


@pytest.mark.parametrize("policy", ["stratified", "beta", "random"])
def test_draws_differ_between_generators(policy):
    many, labels = np.arange(300.0), np.zeros(300, int)
    one, other = (kept([20], scores=many, labels=labels, policy=policy, seed=s) for s in (0, 1))
    assert one != other


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"policy": "simple"}, "'simple' is unknown; known: easy, hard"),
        ({"balance": "none"}, "known: class, global"),
        ({"cutoff": 1.0}, "cutoff 1.0 is out of range"),
        ({"cutoff": 0.9}, "2 images of class 0 asked for, but 1 of its 5"),
        ({"policy": "window", "offset": 1.0}, "0 of its 5 are left"),
        ({"offset": 1.5}, "offset 1.5 is out of range"),
        ({"policy": "stratified", "strata": 0}, "strata 0 is out of range"),
        ({"scores": np.full(10, np.nan)}, "scores of 10 of 10 images are not finite"),
        ({"scores": np.ones(9)}, r"shape \(9,\)"),
    ],
)
def test_mistakes_are_named(how, message):
    with pytest.raises(HydrometerError, match=message):
        kept([2, 1], **how)


def test_asking_for_more_than_a_class_holds_is_refused():
    with pytest.raises(HydrometerError, match="6 images of class 1 asked for, but 5 of its 5"):
        kept([0, 6])


def test_suspects_are_the_hardest_rounded_down():
    assert suspects(np.array([1.0, 9, 5, 7]), 0.5).tolist() == [False, True, False, True]
    assert suspects(np.array([1.0, 9, 5]), 0.3).tolist() == [False] * 3


def test_shares_are_even_until_a_stratum_runs_out():
    # By hand: of 10, strata of 1 and 2 are taken whole, 7 are left for two: 3 and 4.
    assert even_shares(np.array([9, 1, 2, 5]), 10).tolist() == [4, 1, 2, 3]
    rng = RNG(0)
    for _ in range(200):
        sizes = rng.integers(0, 6, size=8)
        count = rng.integers(0, sizes.sum() + 1)
        shares = even_shares(sizes, count)
        assert shares.sum() == count
        assert (shares <= sizes).all()


def test_strata_cover_the_whole_range():
    difficulty = -np.concatenate([np.linspace(0, 1, 900), np.linspace(9, 10, 100)])
    rows = stratified(difficulty, 40, RNG(0), strata=10)
    assert (difficulty[rows] <= -9).sum() == 20
    assert difficulty.argmin() in stratified(difficulty, 1000, RNG(0))


def test_keys_draw_in_proportion_to_the_weights():
    weights = np.array([1.0, 2, 0, 5])
    first = [int(sampling_keys(weights, RNG(seed)).argmax()) for seed in range(4000)]
    share = np.bincount(first, minlength=4) / 4000
    assert np.abs(share - weights / 8).max() < 0.03


def test_beta_moves_to_the_easy_end_as_more_is_pruned():
    many, labels = np.arange(1000.0), np.zeros(1000, int)
    means = [np.mean(kept([k], scores=many, labels=labels, policy="beta")) for k in (10, 100, 500)]
    assert means == sorted(means)
    assert means[0] < 100


def test_the_beta_parameter_is_the_papers():
    assert beta_parameter(0.0, 0.4) == pytest.approx(9.0)
    assert beta_parameter(0.5, 0.4, exponent=2) == pytest.approx(15 * 0.6 * 0.75)
    assert beta_parameter(1.0, 0.4) > 0
