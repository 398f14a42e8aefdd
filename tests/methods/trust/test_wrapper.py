import dataclasses
import time

import numpy as np
import pytest
import torch

import tiny
from hydrometer import methods
from hydrometer.methods import trust
from hydrometer.methods.trust import evidence
from hydrometer.methods.trust.quality import quality
from hydrometer.methods.trust.report import (
    Provenance,
    Recall,
    compose,
    everything,
    floor,
    nothing,
)
from hydrometer.methods.trust.wrapper import trusted
from hydrometer.registry import parse
from hydrometer.sources import load
from hydrometer.types import Budget, HydrometerError

SOURCE = tiny.source(classes=3, per_class=20)
GIVEN = SOURCE.train.labels.numpy()


def report(believed, recalled=(), to=2):
    """Believes some rows, and recalls others as one class."""
    split = np.isin(np.arange(60), believed)
    back = np.isin(np.arange(60), recalled)
    reliability = np.tile(np.eye(3)[to] * 0.7 + 0.1, (60, 1))
    suggested = np.full(60, to)
    return compose("test", GIVEN, np.ones(60), split, suggested, Recall(reliability, back, back))


def rng():
    return np.random.default_rng(0)


def test_a_trusted_source_holds_the_kept_rows_under_given_or_mended_labels():
    found = trusted(SOURCE, report([5, 25, 45, 46], recalled=[7]))
    assert found.train.index.tolist() == [5, 7, 25, 45, 46]
    assert found.train.labels.tolist() == [0, 2, 1, 2, 2]
    assert torch.equal(found.train.images[1], SOURCE.train.images[7])
    assert found.val is SOURCE.val and found.test is SOURCE.test
    assert found.digest != SOURCE.digest
    assert found.digest != trusted(SOURCE, report([5, 25, 45, 46])).digest


def test_where_all_is_kept_the_source_comes_back():
    assert trusted(SOURCE, everything("test", GIVEN, 3, np.ones(60))) is SOURCE


def test_a_report_of_another_source_and_an_empty_class_are_refused():
    with pytest.raises(HydrometerError, match="not of the train part"):
        trusted(tiny.source(classes=3, per_class=21), report([1]))
    with pytest.raises(HydrometerError, match="no image of class 'bar 1'"):
        trusted(SOURCE, report([5, 45]))


def test_the_floor_is_twice_what_is_made_of_a_class():
    assert [floor(wanted, 10) for wanted in (0, 10, 500)] == [10, 10, 100]


def test_the_oracle_keeps_what_is_right_and_needs_to_know():
    noisy = load("digits+symmetric:0.4")
    found = trust.estimate(noisy, parse("oracle"))
    right = (noisy.train.labels == noisy.clean_train).numpy()
    np.testing.assert_array_equal(found.keep, right)
    assert (found.suggested == noisy.clean_train.numpy()).all()
    with pytest.raises(HydrometerError, match="known noise"):
        trust.estimate(SOURCE, parse("oracle"))


def believing_all(source):
    given = source.train.labels.numpy()
    return everything("all", given, len(source.classes), np.ones(len(given)), "")


def test_only_the_oracle_sees_clean_labels_and_nobody_the_test(monkeypatch):
    seen = {}
    monkeypatch.setattr(trust, "_last", {})

    def build(kind, spec, source, **_):
        seen[spec.name] = source
        return believing_all(source)

    monkeypatch.setattr(trust, "build", build)
    noisy = load("digits+symmetric:0.4")
    for name in ("tad", "oracle"):
        trust.estimate(noisy, parse(name))
    assert not hasattr(seen["tad"], "clean_train") and not len(seen["tad"].test)
    assert hasattr(seen["oracle"], "clean_train")


@pytest.mark.parametrize(
    "method", ["random", "herding(features=pixels)", "k-center(features=pixels)"]
)
def test_compressors_work_untouched_and_their_cards_name_the_noisy_source(method):
    noisy = load("digits+symmetric:0.4")
    made = methods.compress(
        noisy, parse(method), Budget(per_class=3), trust=parse("oracle"), rng=rng()
    )
    clean = dict(zip(noisy.train.index.tolist(), noisy.clean_train.tolist(), strict=True))
    assert [clean[i] for i in made.index.tolist()] == made.labels.tolist()
    assert (made.card.source, made.card.source_digest) == (noisy.name, noisy.digest)
    assert any("trust oracle" in note and "given" in note for note in made.card.notes)


def test_a_method_draws_the_same_with_trust_that_keeps_all_as_without():
    clean = load("digits+symmetric:0.0")
    plain = methods.compress(clean, parse("random"), Budget(per_class=3), rng=rng())
    kept = methods.compress(
        clean, parse("random"), Budget(per_class=3), trust=parse("oracle"), rng=rng()
    )
    assert plain.digest == kept.digest


def test_the_card_tells_how_well_labels_were_told_apart():
    noisy = load("digits+symmetric:0.4")
    made = methods.compress(
        noisy, parse("random"), Budget(per_class=1), trust=parse("oracle"), rng=rng()
    )
    found = made.card.trust
    assert (found.estimator, found.images, found.recalibrated) == ("oracle", len(noisy.train), 0)
    assert found.kept == (noisy.train.labels == noisy.clean_train).sum()
    assert (found.precision, found.coverage, found.least_coverage) == (1, 1, 1)
    assert made.card.title == "random, trust oracle"
    plain = methods.compress(noisy, parse("random"), Budget(per_class=1), rng=rng())
    assert plain.card.trust is None and plain.card.title == "random"


def test_quality_is_told_class_by_class_and_not_of_nothing():
    noisy = load("digits+symmetric:0.4")
    right = (noisy.train.labels == noisy.clean_train).numpy()
    kept = right & (noisy.clean_train.numpy() != 3)
    given, clean = noisy.train.labels.numpy(), noisy.clean_train.numpy()
    none = nothing(len(given), 10)
    found = quality(compose("test", given, kept * 1.0, kept, clean, none), noisy)
    assert (found.precision, found.least_coverage) == (1, 0)
    assert found.coverage == pytest.approx(kept.sum() / right.sum())
    assert np.isnan(found.recalibration)
    nobody = np.zeros(len(given), bool)
    assert np.isnan(
        quality(compose("test", given, kept * 1.0, nobody, clean, none), noisy).precision
    )


def test_a_fraction_stays_one_of_the_whole_source():
    noisy = load("digits+symmetric:0.4")
    made = methods.compress(
        noisy, parse("random"), Budget(fraction=0.1), trust=parse("oracle"), rng=rng()
    )
    assert len(made) == round(0.1 * len(noisy.train)) and made.card.budget == "fraction=0.1"
    with pytest.raises(HydrometerError, match="are trusted; lower the budget"):
        methods.compress(
            noisy, parse("random"), Budget(fraction=0.9), trust=parse("oracle"), rng=rng()
        )


def test_every_method_asks_the_same_estimator_once(monkeypatch):
    calls = []
    monkeypatch.setattr(trust, "_last", {})

    def build(kind, spec, source, **_):
        calls.append(str(spec))
        return believing_all(source)

    monkeypatch.setattr(trust, "build", build)
    for _ in range(2):
        trust.estimate(SOURCE, parse("tad"), wanted=3, seed=1)
    trust.estimate(SOURCE, parse("tad"), wanted=3, seed=2)
    trust.estimate(SOURCE, parse("tad"), wanted=4, seed=2)
    assert calls == ["tad"] * 3
    assert trust.estimate(SOURCE, parse("tad(rounds=1)")).estimator == "tad(rounds=1)"


def test_evidence_is_gathered_once_and_leaves_the_draws_as_if_it_were_not(monkeypatch):
    monkeypatch.setattr(evidence, "_last", {})
    first, second = np.random.default_rng(7), np.random.default_rng(7)
    one = evidence.gather(SOURCE, "pixels", rng=first)
    start = time.perf_counter()
    assert evidence.gather(SOURCE, "pixels", rng=second) is one
    assert time.perf_counter() - start < one.seconds
    assert first.random() == second.random()
    assert evidence.gather(SOURCE, "pixels", rng=np.random.default_rng(8)) is not one
    narrow = "convnet(depth=2,norm=instance,width=8)"
    assert evidence.gather(SOURCE, "pixels", narrow, rng=np.random.default_rng(7)) is not one


def test_noise_that_cannot_be_told_is_on_the_card():
    made = methods.compress(
        load("digits+asymmetric:0.7,map=cyclic"), parse("random"), Budget(per_class=1), rng=rng()
    )
    assert any("no estimator can tell" in note for note in made.card.notes)


def test_a_source_without_a_right_label_leaves_nothing_to_trust():
    wrong = load("digits+asymmetric:1.0,map=cyclic")
    with pytest.raises(HydrometerError, match=r"no image of class '0' .* is trusted"):
        methods.compress(
            wrong, parse("random"), Budget(per_class=1), trust=parse("oracle"), rng=rng()
        )


def test_missing_cleanlab_is_one_sentence(monkeypatch):
    import sys

    monkeypatch.setattr(trust, "_last", {})
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    with pytest.raises(HydrometerError, match=r"pip install hydrometer\[cleanlab\]"):
        trust.estimate(SOURCE, parse("cleanlab"))


def test_an_unknown_provenance_never_trains():
    found = report([5, 25, 45], recalled=[7])
    dropped = np.isin(found.provenance, [Provenance.DROPPED, Provenance.UNRECOVERABLE])
    assert dropped.sum() == 56 and not found.keep[dropped].any() and not found.weight[dropped].any()
    assert dataclasses.replace(found).suspects.shape == (57,)
