"""Arms of a filter, paired by noise seed."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import tiny
from hydrometer import registry
from hydrometer.bench import noisy, run
from hydrometer.bench import noisy_words as words
from hydrometer.bench import plan as plans
from hydrometer.bench.noisy import Question
from hydrometer.execute import Silent
from hydrometer.methods import trust
from hydrometer.methods.trust import wrapper
from hydrometer.methods.trust.report import compose, nothing
from hydrometer.store import Store
from hydrometer.store.verdicts import trusting
from hydrometer.types import HydrometerError, Trusted

PROTOCOL = (
    "noisy-quick@1{augment=none,epochs=4,precision=float32,rates=0.03,seeds=2,"
    "student=convnet(depth=1,norm=instance,width=4)}"
)


def gullible(source, *, wanted=0, rng):
    """Believes three images of four, whichever they are."""
    given = source.train.labels.numpy()
    kept = rng.random(len(given)) < 0.75
    none = nothing(len(given), len(source.classes))
    return compose("gullible", given, kept * 1.0, kept, given, none)


@pytest.fixture(autouse=True)
def source(monkeypatch):
    for kind in ("source", "trust"):
        registry.names(kind)
    made = tiny.source(per_class=30)
    monkeypatch.setattr(trust, "_last", {})
    monkeypatch.setitem(registry._found["source"], "tiny", lambda place: made)
    monkeypatch.setitem(registry._found["trust"], "gullible", gullible)
    return made


def question(**changes):
    settings = {
        "source": "tiny+symmetric:0.4@3", "method": "random", "budget": "ipc=3",
        "trusts": ("gullible",), "protocol": PROTOCOL, "replicates": 2,
    }  # fmt: skip
    return Question(**(settings | changes))


def go(plan):
    return list(run.run(plan, tiny.CPU, Silent()))


def test_every_replicate_has_its_own_labels_and_seed_and_clean_ones_have_no_oracle():
    cells = list(question().cells())
    assert {(c.source, c.seed) for c in cells if "+" in c.source} == {
        ("tiny+symmetric:0.4@3", 0),
        ("tiny+symmetric:0.4@4", 1),
    }
    noisy_arms = [c.trust for c in cells if c.source.endswith("@3")]
    assert noisy_arms == [None, "gullible", "oracle"]
    clean = [(c.trust, c.seed) for c in cells if c.source == "tiny"]
    assert clean == [(None, 0), ("gullible", 0), (None, 1), ("gullible", 1)]


def test_no_filter_and_oracle_are_there_whatever_is_asked_and_once():
    asked = question(trusts=("oracle", "gullible", "none", "gullible"))
    assert asked.arms == ("none", "gullible", "oracle")


def test_a_plan_keeps_sources_and_arms_together(tmp_path):
    questions = [question(method=name) for name in ("random", "herding(features=pixels)")]
    cells = noisy.plan("noisy", tmp_path, questions).cells
    assert len(cells) == 2 * 2 * (3 + 2)
    order = [c.source for c in cells]
    assert order == sorted(order, key=order.index) and len(set(order)) == 3
    first = [(c.trust, c.method.partition("(")[0]) for c in cells[:4]]
    assert first == [
        (None, "random"),
        (None, "herding"),
        ("gullible", "random"),
        ("gullible", "herding"),
    ]


def test_an_answer_pairs_arms_and_tells_of_labels(tmp_path):
    asked = question()
    plan = noisy.plan("noisy", tmp_path / "noisy", [asked])
    assert {r.status for r in go(plan)} == {"done"}
    found = noisy.answer(asked, noisy.known(plan), ("mind the gap",))
    assert [s.trust for s in found.noisy] == ["none", "gullible", "oracle"]
    assert [s.trust for s in found.clean] == ["none", "gullible"]
    none, guess, oracle = found.noisy
    assert none.gain is None and none.labels == () and oracle.recovered is None
    expected = oracle.means.mean() - none.means.mean()
    assert oracle.gain.value == pytest.approx(expected) and oracle.gain.n == 2
    assert [label.precision for label in oracle.labels] == [1, 1]
    assert all(0.4 < label.precision < 0.9 and label.coverage < 1 for label in guess.labels)
    assert all(label.precision is None for label in found.clean[1].labels)
    assert found.notices[0] == "mind the gap" and "n=2 noise seeds" in found.notices[-1]
    assert json.loads(found.model_dump_json())["schema_version"] == 1
    assert noisy.Answer.model_validate_json(found.model_dump_json()) == found
    assert go(plan) == []
    table = words.rows(found.noisy)
    assert [len(row) for row in table] == [len(words.HEAD)] * 3
    assert words.sentences(found)[0].startswith("gullible gains")
    assert "on clean labels" in words.sentences(found)[0]


def test_arms_of_a_replicate_see_the_same_noisy_val_and_share_the_random_arm(tmp_path):
    asked = question(replicates=1)
    plan = noisy.plan("noisy", tmp_path / "noisy", [asked])
    go(plan)
    with Store(plan.store) as store:
        verdicts, runs = store.verdicts(), store.runs()
    of_noisy = [v for v in verdicts if "+" in v.source]
    assert len({v.source_digest for v in of_noisy}) == 1
    assert len({v.arms[1].runs for v in of_noisy}) == 1
    # Students: a subject for each of five arms and a random arm for each of two sources.
    assert len(runs) == 2 * (5 + 2)


def test_an_arm_that_fails_everywhere_is_left_out_and_said(tmp_path, monkeypatch):
    def broken(source, *, wanted=0, rng):
        raise HydrometerError("no idea")

    monkeypatch.setitem(registry._found["trust"], "broken", broken)
    asked = question(trusts=("broken", "gullible"), replicates=1)
    plan = noisy.plan("noisy", tmp_path / "noisy", [asked])
    go(plan)
    found = noisy.answer(asked, noisy.known(plan))
    assert [s.trust for s in found.noisy] == ["none", "gullible", "oracle"]
    assert "broken on noisy labels: 0 of 1 replicates: no idea" in found.notices


def test_only_replicates_that_all_arms_have_are_compared(tmp_path):
    asked = question(replicates=3)
    plan = noisy.plan("noisy", tmp_path / "noisy", [asked])
    go(plan)
    ended = noisy.known(plan)
    gone = asked.cell("gullible", 1).digest
    partial = noisy.Known(
        {name: v for name, v in ended.verdicts.items() if name != gone}, ended.sources, {}
    )
    found = noisy.answer(asked, partial)
    assert {len(s.by_replicate) for s in found.noisy} == {2}
    assert {len(s.by_replicate) for s in found.clean} == {3}
    assert any("2 of 3 replicates" in notice for notice in found.notices)
    nothing_yet = noisy.answer(asked, noisy.Known({}, {}, {}))
    assert nothing_yet.noisy == nothing_yet.clean == ()


def test_noise_that_is_not_drawn_is_said(tmp_path):
    asked = question(source="tiny+symmetric:0.0")
    plan = noisy.plan("noisy", tmp_path / "noisy", [asked])
    go(plan)
    found = noisy.answer(asked, noisy.known(plan))
    assert any("noise is not drawn" in notice for notice in found.notices)
    assert found.noisy[2].gain.value == 0 and found.noisy[1].recovered is None


def test_sets_that_do_not_vary_are_said(tmp_path):
    asked = question(method="herding(features=pixels)", trusts=())
    plan = noisy.plan("noisy", tmp_path / "noisy", [asked])
    go(plan)
    found = noisy.answer(asked, noisy.known(plan))
    (said,) = [n for n in found.notices if "made the same set" in n]
    assert said.startswith("none on clean labels")


def test_the_share_recovered_is_that_of_the_sums():
    none, arm, oracle = np.array([0.5, 0.5]), np.array([0.6, 0.6]), np.array([0.7, 0.7])
    found = noisy.recovered([(none, arm, oracle)])
    assert found.value == pytest.approx(0.5) == pytest.approx(found.low)
    twice = noisy.recovered([(none, arm, oracle), (none, oracle, oracle)], ["a", "b"])
    assert twice.value == pytest.approx(0.75)


def test_rows_of_a_group_are_resampled_together():
    rng = np.random.default_rng(0)
    none = rng.normal(0.5, 0.05, 8)
    up = (none, none + 0.1 + (none - none.mean()), none + 0.2)
    down = (none, none + 0.1 - (none - none.mean()), none + 0.2)
    together = noisy.recovered([up, down], ["a", "a"])
    apart = noisy.recovered([up, down], ["a", "b"])
    assert together.high - together.low < 1e-9 < apart.high - apart.low


def test_a_mean_gain_is_over_rows_and_pairs_within_a_group():
    none = np.array([0.5, 0.6, 0.7])
    rows = [(none, none + 0.2), (none, none * 0 + 0.6)]
    found = noisy.mean_gain(rows, ["a", "a"])
    assert found.value == pytest.approx(0.1) and found.low < 0.1 < found.high
    assert noisy.mean_gain([], []) is None


def test_where_there_is_no_gap_nothing_is_divided():
    flat = np.full(3, 0.5)
    found = noisy.recovered([(flat, flat, flat)])
    assert found.value == found.low == found.high == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [({"source": "tiny"}, "names no noise"), ({"replicates": 0}, "give at least 1")],
)
def test_what_cannot_be_compared_is_refused(change, said):
    with pytest.raises(HydrometerError, match=said):
        question(**change)


def test_unknown_names_are_refused_before_anything_is_made():
    with pytest.raises(HydrometerError, match="did you mean 'tad'"):
        noisy.check(question(trusts=("tadd",)))
    with pytest.raises(HydrometerError, match="did you mean 'random'"):
        noisy.check(question(method="randem"))
    with pytest.raises(HydrometerError, match="trust gullible has no argument 'much'"):
        noisy.check(question(trusts=("gullible(much=1)",)))
    noisy.check(question())


def test_an_estimator_that_says_otherwise_of_the_same_set_is_heard(monkeypatch, tmp_path):
    """Its students are known, and what it kept is told anew."""
    asked, judged, seen = question(replicates=1), wrapper.judged, []
    for layout, precision in (("trust@1", 0.25), ("trust@2", 0.75)):
        monkeypatch.setattr(plans, "TRUST_LAYOUT", layout)
        monkeypatch.setattr(
            wrapper,
            "judged",
            lambda *known, told=precision: judged(*known).model_copy(update={"precision": told}),
        )
        plan = noisy.plan("noisy", tmp_path / "noisy", [asked])
        go(plan)
        by_trust = {score.trust: score for score in noisy.answer(asked, noisy.known(plan)).noisy}
        with Store(plan.store) as store:
            seen.append((by_trust["gullible"].labels[0].precision, store.count()))
    assert [precision for precision, _ in seen] == [0.25, 0.75]
    assert seen[0][1] == seen[1][1]


def test_how_long_an_estimator_took_makes_no_other_verdict():
    told = Trusted(estimator="tad", images=9, kept=5, recalibrated=0, seconds=1.0)
    cards = [
        SimpleNamespace(trust=told.model_copy(update=changed))
        for changed in ({}, {"seconds": 2.0}, {"kept": 6})
    ]
    first, slower, other = map(trusting, cards)
    assert first == slower != other


def test_arms_are_comparable_where_no_filter_and_one_replicate_are_left():
    asked = noisy.Question(
        "tiny+symmetric:0.4", "random", "ipc=1", ("tad",), "noisy-quick@1", replicates=2
    )
    cells = {(arm, r): asked.cell(arm, r).digest for arm in asked.arms for r in range(2)}
    assert noisy.comparable(asked, ())
    assert noisy.comparable(asked, {cells["none", 0], cells["tad", 0], cells["tad", 1]})
    assert not noisy.comparable(asked, {cells["none", 0], cells["none", 1]})
    assert not noisy.comparable(asked, {cells["none", 0], cells["oracle", 1]})
