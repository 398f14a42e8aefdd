"""What every method promises; a method's author inherits the tests and names the method.

class TestMine(MethodContract):
    @pytest.fixture
    def name(self):
        return "mine(epochs=2)"
"""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
import torch
from torch import Tensor

from hydrometer import digest, methods, registry
from hydrometer.testing.sources import bars
from hydrometer.types import Budget, CompressedSet, HydrometerError, Source, Split


def made(name: str, source: Source, budget: Budget, seed: int = 0) -> CompressedSet:
    """What a method makes, its draws from a generator of this seed."""
    rng = np.random.default_rng(seed)
    return methods.compress(source, registry.parse(name), budget, rng=rng, seed=seed)


class MethodContract:
    """Tests of a method, on a source of three classes of twenty images unless `source` is overridden."""

    @pytest.fixture
    def name(self) -> str:
        """The method: its registered name, or a spec with arguments that make it quick."""
        raise NotImplementedError("override the fixture `name` with the name of your method")

    @pytest.fixture
    def source(self) -> Source:
        """The source to compress."""
        return bars()

    def test_the_same_draws_give_the_same_set(self, name: str, source: Source) -> None:
        """Everything random comes from `rng`."""
        first, second = (made(name, source, Budget(per_class=2)) for _ in range(2))
        assert first.digest == second.digest
        assert _equal(first.index, second.index)

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_images_per_class_are_met_exactly(self, name: str, source: Source, count: int) -> None:
        """As many of every class, none of them for a budget of nothing."""
        assert _counts(made(name, source, Budget(per_class=count))) == [count] * len(source.classes)

    def test_a_fraction_is_met_exactly(self, name: str, source: Source) -> None:
        """To the image, even where the classes cannot share it evenly."""
        assert len(made(name, source, Budget(fraction=0.17))) == round(0.17 * len(source.train))

    def test_bytes_are_spent_and_not_exceeded(self, name: str, source: Source) -> None:
        """One more image would not fit."""
        limit = 7 * made(name, source, Budget(per_class=1)).card.bytes.total // 3 + 1
        found = made(name, source, Budget(bytes=limit))
        spent = found.card.bytes.total
        assert spent <= limit < spent + spent / len(found)

    def test_more_than_there_is_is_refused(self, name: str, source: Source) -> None:
        """As a user's mistake, by the method itself."""
        budget = Budget(per_class=int(source.train.labels.bincount().max()) + 1)
        with pytest.raises(HydrometerError):
            registry.build(
                "method", registry.parse(name), source, budget, rng=np.random.default_rng(0)
            )

    def test_real_images_are_what_their_rows_say(self, name: str, source: Source) -> None:
        """Where there are row numbers: of `train`, none twice, with that row's image and label."""
        found = made(name, source, Budget(per_class=2))
        if found.index is None:
            return
        rows = [(source.train.index == row).nonzero().item() for row in found.index]
        assert len(set(rows)) == len(rows)
        assert torch.equal(found.images, source.train.images[rows])
        assert torch.equal(found.labels, source.train.labels[rows])

    def test_the_card_tells_how_to_make_the_set_again(self, name: str, source: Source) -> None:
        """Method with arguments, source, budget, seed, time and bytes."""
        budget = Budget(per_class=2)
        found = made(name, source, budget, seed=1)
        card = found.card
        assert made(card.method, source, budget, seed=1).digest == found.digest
        assert registry.parse(card.method).name == registry.parse(name).name
        assert (card.source, card.source_digest) == (source.name, source.digest)
        assert (card.budget, card.seed, card.classes) == (str(budget), 1, source.classes)
        assert 0 < card.seconds < math.inf
        assert card.bytes.images == found.images.numel() * found.images.element_size()
        assert card.bytes.labels >= len(found)

    def test_the_source_stays_as_it_is(self, name: str, source: Source) -> None:
        """Nothing is written into its tensors."""
        before = _content(source)
        made(name, source, Budget(per_class=2))
        assert _content(source) == before

    def test_global_random_states_are_neither_read_nor_changed(
        self, name: str, source: Source
    ) -> None:
        """Python's, numpy's and torch's; the set does not depend on them."""
        first = made(name, source, Budget(per_class=2))
        _stir()
        before = _states()
        assert made(name, source, Budget(per_class=2)).digest == first.digest
        assert _states() == before

    def test_the_test_split_does_not_matter(self, name: str, source: Source) -> None:
        """A method that finds one, although `methods.compress` hides it, takes nothing from it."""
        test = source.test
        blank = Split(torch.zeros_like(test.images), test.labels.flip(0), test.index)
        spec, budget = registry.parse(name), Budget(per_class=2)
        seen, blanked = (
            registry.build("method", spec, s, budget, rng=np.random.default_rng(0))
            for s in (source, dataclasses.replace(source, test=blank))
        )
        assert seen.digest == blanked.digest == made(name, source, budget).digest


def _counts(found: CompressedSet) -> list[int]:
    counts: list[int] = found.labels.bincount(minlength=len(found.card.classes)).tolist()
    return counts


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other or (one is not None and other is not None and torch.equal(one, other))


def _content(source: Source) -> str:
    splits = (source.train, source.val, source.test)
    return digest.of_tensors(*(t for s in splits for t in (s.images, s.labels, s.index)))


def _stir() -> None:
    random.random()
    np.random.random()  # noqa: NPY002 -- the point is the global state
    torch.rand(1)


def _states() -> tuple[object, ...]:
    numpy_state = np.random.get_state(legacy=True)  # noqa: NPY002
    return random.getstate(), str(numpy_state), digest.of_tensors(torch.get_rng_state())
