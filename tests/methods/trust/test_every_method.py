"""Every registered method works behind a trust estimator, untouched."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from hydrometer import methods, registry
from hydrometer.methods import trust
from hydrometer.methods.trust.report import Recall, compose
from hydrometer.sources.noise import corrupted
from hydrometer.types import Budget, Spec, Split
from quick_methods import quick

NOISY = corrupted(tiny.source(per_class=24), "symmetric:0.3", Path())
GIVEN = NOISY.train.labels.numpy()
CLEAN = NOISY.clean_train.numpy()
RIGHT = GIVEN == CLEAN
RECALLED = ~RIGHT & (np.arange(len(GIVEN)) % 2 == 0)
KEPT = RIGHT | RECALLED


def stub(source, *, wanted=0, rng):
    """Believes what is right, and gives half of the rest their clean labels back."""
    sure = np.eye(3)[CLEAN] * 0.7 + 0.1
    return compose("stub", GIVEN, RIGHT * 1.0, RIGHT, CLEAN, Recall(sure, RECALLED, RECALLED))


@pytest.fixture(autouse=True)
def estimator(monkeypatch):
    registry.names("trust")
    monkeypatch.setattr(trust, "_last", {})
    monkeypatch.setitem(registry._found["trust"], "stub", stub)


TWO_EACH = Budget(per_class=2)


def made(name, source, budget=TWO_EACH):
    rng = np.random.default_rng(0)
    return methods.compress(source, quick(name), budget, trust=Spec("stub"), rng=rng, seed=0)


ONE_OF_EACH_FAMILY = ["random", "herding", "el2n", "rded", "sre2l", "dm", "mtt"]


@pytest.mark.parametrize("name", registry.names("method"))
def test_a_method_works_on_what_is_trusted(name):
    found = made(name, NOISY)
    assert found.labels.bincount(minlength=3).tolist() == [2, 2, 2]
    card = found.card
    assert (card.source, card.source_digest) == (NOISY.name, NOISY.digest)
    assert (card.trust.estimator, card.trust.kept) == ("stub", KEPT.sum())
    assert (card.trust.recalibrated, card.trust.precision) == (RECALLED.sum(), 1)
    if found.index is not None:
        clean = dict(zip(NOISY.train.index.tolist(), CLEAN.tolist(), strict=True))
        kept = set(NOISY.train.index[torch.from_numpy(KEPT)].tolist())
        assert set(found.index.tolist()) <= kept
        assert [clean[row] for row in found.index.tolist()] == found.labels.tolist()


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_what_is_dropped_might_as_well_be_anything(name):
    images = NOISY.train.images.clone()
    images[torch.from_numpy(~KEPT)] = 255 - images[torch.from_numpy(~KEPT)]
    train = Split(images, NOISY.train.labels, NOISY.train.index)
    other = dataclasses.replace(NOISY, train=train, digest=f"other-{NOISY.digest}")
    assert made(name, other).digest == made(name, NOISY).digest


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_a_fraction_is_one_of_the_whole_source(name):
    found = made(name, NOISY, Budget(fraction=0.1))
    assert len(found) == round(0.1 * len(GIVEN)) and found.card.budget == "fraction=0.1"
