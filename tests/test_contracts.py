"""Every registered method keeps the contract, and the contract catches methods that do not.

Students, augmentations, whitenings, metrics, losses and optimisers are walked in their own folders.
"""

import dataclasses

import numpy as np
import pytest
import torch

from hydrometer import methods, registry
from hydrometer.artifact.rows import from_rows
from hydrometer.methods.budget import per_class
from hydrometer.testing.methods import MethodContract
from hydrometer.testing.sources import bars
from hydrometer.types import Budget, HydrometerError, Spec
from quick_methods import quick


class TestMethods(MethodContract):
    @pytest.fixture(params=registry.names("method"))
    def name(self, request):
        return str(quick(request.param))


def rows_of(source, budget, rng):
    drawn = [
        rng.permutation((source.train.labels == label).nonzero().flatten().numpy())[:count]
        for label, count in enumerate(per_class(source, budget))
    ]
    return torch.from_numpy(np.concatenate(drawn))


def honest(source, budget, *, rng, rows=None, **changes):
    rows = rows_of(source, budget, rng) if rows is None else rows
    words = {"method": "mine", "budget": str(budget), "seconds": 1.0} | changes
    return from_rows(source, rows, **words)


def unseeded(source, budget, *, rng):
    return honest(source, budget, rng=np.random.default_rng())


def generous(source, budget, *, rng):
    rows = rows_of(source, budget, rng)
    return honest(source, budget, rng=rng, rows=torch.cat([rows, torch.tensor([0])]))


def unbalanced(source, budget, *, rng):
    return honest(source, budget, rng=rng, rows=torch.arange(sum(per_class(source, budget))))


def frugal(source, budget, *, rng):
    return honest(source, budget, rng=rng, rows=rows_of(source, budget, rng)[:-1])


def endless(source, budget, *, rng):
    sizes = source.train.labels.bincount()
    count = min(budget.per_class or 1, int(sizes.max()))
    return honest(source, Budget(per_class=count), rng=rng)


def repeating(source, budget, *, rng):
    return honest(source, budget, rng=rng, rows=rows_of(source, budget, rng) * 0)


def painting(source, budget, *, rng):
    found = honest(source, budget, rng=rng)
    return dataclasses.replace(found, images=255 - found.images)


def anonymous(source, budget, *, rng):
    return honest(source, budget, rng=rng, method="somebody")


def timeless(source, budget, *, rng):
    return honest(source, budget, rng=rng, seconds=0.0)


def scribbling(source, budget, *, rng):
    source.train.images[0] = 0
    return honest(source, budget, rng=rng)


def global_draw(source, budget, *, rng):
    torch.rand(1)
    return honest(source, budget, rng=rng)


def global_seed(source, budget, *, rng):
    before = torch.get_rng_state()
    seed = int(torch.randint(2**31, ()))
    torch.set_rng_state(before)
    return honest(source, budget, rng=np.random.default_rng(seed))


def peeking(source, budget, *, rng):
    seed = int(source.test.images.sum())
    return honest(source, budget, rng=np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("method", "broken"),
    [
        (unseeded, "the_same_draws_give_the_same_set"),
        (generous, "images_per_class_are_met_exactly"),
        (unbalanced, "images_per_class_are_met_exactly"),
        (frugal, "a_fraction_is_met_exactly"),
        (frugal, "bytes_are_spent_and_not_exceeded"),
        (generous, "bytes_are_spent_and_not_exceeded"),
        (endless, "more_than_there_is_is_refused"),
        (repeating, "real_images_are_what_their_rows_say"),
        (painting, "real_images_are_what_their_rows_say"),
        (anonymous, "the_card_tells_how_to_make_the_set_again"),
        (timeless, "the_card_tells_how_to_make_the_set_again"),
        (scribbling, "the_source_stays_as_it_is"),
        (global_draw, "global_random_states_are_neither_read_nor_changed"),
        (global_seed, "global_random_states_are_neither_read_nor_changed"),
        (peeking, "the_test_split_does_not_matter"),
    ],
)
def test_the_contract_catches(method, broken, monkeypatch):
    monkeypatch.setitem(registry._found["method"], "mine", method)
    monkeypatch.setitem(registry._found["method"], "somebody", honest)
    check = getattr(MethodContract(), f"test_{broken}")
    count = (2,) if "per_class" in broken else ()
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check("mine", bars(), *count)


def test_an_honest_method_passes(monkeypatch):
    monkeypatch.setitem(
        registry._found["method"], "mine", lambda s, b, *, rng: honest(s, b, rng=rng)
    )
    contract = MethodContract()
    for name in dir(MethodContract):
        if name.startswith("test_"):
            getattr(contract, name)("mine", bars(), *((2,) if "per_class" in name else ()))


def test_a_method_that_returns_no_set_is_named(monkeypatch):
    monkeypatch.setitem(registry._found["method"], "mine", lambda s, b, *, rng: None)
    with pytest.raises(HydrometerError, match="'mine' returned NoneType instead of a Compressed"):
        methods.compress(bars(), Spec("mine"), Budget(per_class=1), rng=np.random.default_rng(0))
