import re

import numpy as np
import pytest
from scipy import stats

from hydrometer.board import latex, ranking
from hydrometer.board.entry import Entry
from hydrometer.types import ArmResult, Bytes, Card, Environment, Estimate, HydrometerError

RNG = np.random.default_rng(0)


def entry(method, accuracy, protocol="p@1", source="s", seeds=None):
    mean = float(np.mean(accuracy))
    arm = ArmResult(
        name="subject",
        set_digest=(method,),
        recipe_digest="r",
        lr=0.1,
        seeds=tuple(range(len(accuracy))) if seeds is None else seeds,
        accuracy=tuple(accuracy),
        val_accuracy=tuple(accuracy),
        diverged=0,
        runs=(),
    )
    card = Card(
        source=source,
        source_digest=source,
        classes=("a", "b"),
        method=method,
        budget="ipc=1",
        seed=0,
        seconds=1.0,
        bytes=Bytes(images=1, labels=1),
    )
    return Entry(
        set={"digest": method, "where": "here"},
        card=card,
        protocol=protocol,
        source=source,
        source_digest=source,
        estimates={"accuracy:subject": Estimate(value=mean, low=mean, high=mean, level=0.95, n=5)},
        arms=(arm,),
        runs=(),
        recipes={},
        notices=(),
        environment=Environment(hydrometer="0", torch="0", python="3", device="d", threads=1),
    )


def around(mean, n=5, spread=0.004):
    return mean + RNG.normal(0, spread, n)


def test_p_values_of_few_seeds_are_those_of_scipys_paired_t_test_corrected():
    scores = RNG.normal(0.5, 0.02, (3, 5)) + np.array([[0.0], [0.01], [0.05]])
    pairs = [(0, 1), (0, 2), (1, 2)]
    raw = np.array([stats.ttest_rel(scores[i], scores[j]).pvalue for i, j in pairs])
    order = np.argsort(raw)
    holm = np.minimum(1, np.maximum.accumulate(raw[order] * (3, 2, 1)))
    found = ranking.p_values(scores)
    for position, p in zip(order, holm, strict=True):
        assert found[pairs[position]] == found[pairs[position][::-1]] == pytest.approx(p)


def test_with_many_seeds_the_sign_flip_test_decides():
    assert ranking.test_for(2, 5).startswith("t test")
    assert ranking.test_for(2, 6).startswith("sign-flip")
    assert ranking.test_for(3, 6).startswith("t test")
    assert ranking.test_for(3, 7).startswith("sign-flip")
    assert ranking.p_values(np.stack([around(0.5, 7), around(0.9, 7)]))[0, 1] == 2 / 2**7


def test_planted_differences_are_ranked_and_planted_ties_are_tied():
    noise = RNG.normal(0, 0.01, 5)
    entries = [
        entry("low", around(0.40)),
        entry("best", 0.70 + noise),
        entry("as good", 0.70 + noise[::-1]),
    ]
    found = ranking.table(entries)
    assert [(p.rank, p.tied) for p in found.places] == [(1, True), (1, True), (3, False)]
    assert found.places[2].entry is entries[0]
    assert found.places[2].holds == pytest.approx(1)
    assert 0.3 < found.places[0].holds < 0.8


def test_noise_alone_is_seldom_called_a_difference():
    """200 tables of 4 equal entries, 5 seeds: the share with any difference is near 5 %."""
    rng = np.random.default_rng(3)
    wrong = [(ranking.p_values(rng.normal(0, 1, (4, 5))) < 0.05).any() for _ in range(200)]
    assert np.mean(wrong) < 0.11


def test_one_seed_ranks_nothing_as_different():
    found = ranking.table([entry("a", [0.1]), entry("b", [0.9])])
    assert [p.rank for p in found.places] == [1, 1]
    assert found.test.startswith("none")


def test_entries_of_other_protocols_and_sources_stand_apart():
    entries = [entry("a", around(0.5)), entry("b", around(0.6), "p@1{epochs=3}")]
    entries += [entry("c", around(0.7), source="t"), entry("d", around(0.8))]
    assert [len(t.places) for t in ranking.tables(entries)] == [2, 1, 1]


def test_entries_with_other_seeds_are_not_paired():
    with pytest.raises(
        HydrometerError, match=r"share their seeds.*\(0, 1, 2, 3, 4\).*\(5, 6, 7, 8, 9\)"
    ):
        ranking.table([entry("a", around(0.5)), entry("b", around(0.5), seeds=(5, 6, 7, 8, 9))])


def test_latex_prints_the_best_and_its_ties_in_bold_and_escapes_names():
    noise = RNG.normal(0, 0.01, 5)
    entries = [entry("low_{x}%", around(0.40))]
    entries += [entry("a", 0.7 + noise), entry("b&c", 0.7 + noise[::-1])]
    text = latex.render(ranking.tables(entries))
    bold = [line for line in text.splitlines() if r"\textbf" in line]
    assert len(bold) == 2
    assert r"low\_\{x\}\%" in text
    assert r"b\&c" in text
    assert not re.search(r"(?<!\\)%", text)
    assert text.count(r"\begin") == text.count(r"\end") == 2
