import numpy as np
import pytest
from scipy import stats

from hydrometer.stats import paired


def rng(seed=0):
    return np.random.default_rng(seed)


def oracle(d, resamples=np.inf):
    return stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=resamples, rng=rng(1)
    ).pvalue


@pytest.mark.parametrize("n", [2, 5, 8, 12])
@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_sign_flip_is_exact_for_few_seeds(n, shift):
    d = rng(n).standard_normal(n) + shift
    assert paired.sign_flip(d, rng=rng()) == pytest.approx(oracle(d))


def test_sign_flip_is_sampled_for_many_seeds():
    d = rng(9).standard_normal(14) + 0.5
    assert paired.sign_flip(d, resamples=20_000, rng=rng()) == pytest.approx(oracle(d), abs=0.01)


def test_sign_flip_counts_ties_despite_rounding():
    d = np.array([0.1, 0.2, -0.3])
    assert paired.sign_flip(d, rng=rng()) == 1.0
    assert paired.sign_flip(np.zeros(6), rng=rng()) == 1.0


def test_a_sampled_p_value_is_never_zero():
    assert paired.sign_flip(np.ones(40), resamples=99, rng=rng()) == pytest.approx(0.01)


@pytest.mark.parametrize("n", [1, 5, 9])
def test_the_smallest_p_is_reached_by_agreeing_signs(n):
    assert paired.sign_flip(np.arange(1, n + 1), rng=rng()) == paired.smallest_p(n)


def test_holm_by_hand():
    assert paired.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert paired.holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])


def test_holm_rejects_what_the_stepwise_rule_rejects():
    for seed in range(50):
        p = rng(seed).random(6) ** 3
        rejected = np.zeros(6, bool)
        for step, index in enumerate(np.argsort(p)):
            if p[index] > 0.05 / (6 - step):
                break
            rejected[index] = True
        assert ((paired.holm(p) <= 0.05) == rejected).all()


def test_probability_of_improvement_is_the_mann_whitney_share():
    x, y = rng(1).integers(5, size=7), rng(2).integers(5, size=9)
    u = stats.mannwhitneyu(x, y).statistic
    assert paired.probability_of_improvement(x, y) == pytest.approx(u / 63)
    batch = paired.probability_of_improvement(np.stack([x, x + 9]), y)
    assert batch == pytest.approx([u / 63, 1.0])


@pytest.mark.parametrize("n", [1, 3, 4, 7, 10, 25])
def test_iqm_is_the_quarter_trimmed_mean(n):
    x = rng(n).standard_normal((3, n))
    assert paired.iqm(x) == pytest.approx(stats.trim_mean(x, 0.25, axis=-1))


def test_compare_gathers_the_three_answers():
    y = rng(3).random(6)
    found = paired.compare(y + 0.05, y, rng=rng())
    assert found.difference.value == pytest.approx(0.05)
    assert found.difference.low == pytest.approx(0.05)
    assert found.p_value == 1 / 32
    assert found.improvement > 0.5
    with pytest.raises(ValueError, match="differ in shape"):
        paired.compare(y, y[:-1], rng=rng())


def test_pairwise_corrects_for_the_number_of_pairs():
    base = rng(4).random(10)
    table = paired.pairwise([base, base + 0.2, base + 0.4], rng=rng())
    assert (table == table.T).all()
    assert table[0, 1] == pytest.approx(3 * paired.smallest_p(10))
    assert (np.diag(table) == 1).all()
