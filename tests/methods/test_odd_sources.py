"""Every selection and stitching method on sources with duplicates, a class of one, or an empty class."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch

import tiny
from hydrometer import methods, registry
from hydrometer.artifact.composites import rows_of
from hydrometer.methods import features
from hydrometer.methods.select import observer
from hydrometer.methods.stitch import rded
from hydrometer.types import Budget, HydrometerError, Spec, Split

NAMES = [
    name
    for name in registry.names("method")
    if any(f".{part}." in registry.get("method", name).__module__ for part in ("select", "stitch"))
]
every = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path_factory):
    """A small network behind scores and crops; records of one folder, so that each is made once."""
    for module in (features, observer, rded):
        monkeypatch.setattr(module, "observer_recipe", lambda source, student="": tiny.recipe())
    place = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("HYDROMETER_CACHE", str(place))


def kept(rows):
    """A source whose train part is these rows of a plain one of three classes of six."""
    plain = tiny.source(classes=3, per_class=6)
    rows = torch.tensor(rows)
    train = Split(plain.train.images[rows], plain.train.labels[rows], torch.arange(len(rows)))
    return dataclasses.replace(plain, train=train, digest=f"rows {rows.tolist()}")


TWINS = kept([row // 2 * 2 for row in range(18)])
LONE = kept([*range(12), 12])
EMPTY = kept(range(12))


def made(name, source, budget):
    takes = inspect.signature(registry.get("method", name)).parameters
    args = {"epochs": 3} if "epochs" in takes else {"prune": "el2n(epochs=3)"}
    args = {key: value for key, value in args.items() if key in takes}
    spec = Spec(name, tuple(args.items()))
    return methods.compress(source, spec, budget, rng=np.random.default_rng(0))


def counts(found):
    return found.labels.bincount(minlength=3).tolist()


@every
def test_of_twins_each_is_kept_once_at_most(name):
    found = made(name, TWINS, Budget(per_class=5))
    assert counts(found) == [5, 5, 5]
    if found.index is not None:
        assert len(set(found.index.tolist())) == 15


@every
def test_a_class_of_one_gives_its_one_image_and_no_more(name):
    assert counts(made(name, LONE, Budget(per_class=1))) == [1, 1, 1]
    with pytest.raises(HydrometerError, match="train holds 1"):
        made(name, LONE, Budget(per_class=2))


@every
def test_an_empty_class_gives_nothing_and_the_others_their_share(name):
    assert counts(made(name, EMPTY, Budget(per_class=0))) == [0, 0, 0]
    assert counts(made(name, EMPTY, Budget(fraction=0.5))) == [3, 3, 0]
    with pytest.raises(HydrometerError, match="'bar 2', but train holds 0"):
        made(name, EMPTY, Budget(per_class=1))


@pytest.mark.parametrize("method", ["pca(prune=random,factor=2)", "rded(factor=2)"])
def test_composites_of_more_sources_than_there_are_are_refused(method):
    with pytest.raises(HydrometerError, match="need 8 images of class 'bar 0', but train holds 6"):
        methods.compress(
            TWINS, registry.parse(method), Budget(per_class=2), rng=np.random.default_rng(0)
        )


def test_all_of_a_class_in_one_composite():
    budget, spec = Budget(per_class=1), registry.parse("pca(prune=random,factor=2)")
    found = methods.compress(TWINS, spec, budget, rng=np.random.default_rng(0))
    assert rows_of(found.card).shape == (3, 4)
