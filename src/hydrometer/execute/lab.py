"""What trials on one source share: whitenings, prepared exams, and teachers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hydrometer import digest
from hydrometer.engine.data import Images, Lens
from hydrometer.engine.environment import exact_arithmetic, keep_pages
from hydrometer.engine.teachers import Teacher, obtain, recall, recipe_of
from hydrometer.types import CompressedSet, Source, Spec, Trial


class Lab:
    """One source on one device; everything costly is made once, when first asked for."""

    def __init__(self, source: Source, device: torch.device) -> None:
        if device.type == "cpu":
            keep_pages()
        else:
            exact_arithmetic()
        self.source, self.device = source, device
        self._lenses: dict[str, Lens] = {}
        self._exams: dict[str, tuple[Images, Images]] = {}
        self._teachers: dict[str, Teacher] = {}

    def lens(self, whiten: Spec | None) -> Lens:
        """The view of images that a recipe's whitening gives."""
        name = str(whiten)
        if name not in self._lenses:
            self._lenses[name] = Lens(self.source, whiten, self.device)
        return self._lenses[name]

    def exams(self, whiten: Spec | None) -> tuple[Images, Images]:
        """`val` and `test` as that view shows them."""
        name = str(whiten)
        if name not in self._exams:
            lens = self.lens(whiten)
            self._exams[name] = (
                Images(self.source.val.images, lens),
                Images(self.source.test.images, lens),
            )
        return self._exams[name]

    def teach(
        self, trial: Trial, data: CompressedSet, on_step: Callable[[int], None] = lambda steps: None
    ) -> Teacher:
        """Train, or recall from the cache, the teacher of a trial."""
        name = digest.of_trial(trial)
        if name not in self._teachers:
            lens = self.lens(trial.recipe.whiten)
            self._teachers[name] = obtain(trial, data, self.source, lens, on_step)
        return self._teachers[name]

    def teachers(self, names: Sequence[str], student: Lens) -> list[Callable[[Tensor], Tensor]]:
        """Known teachers by digest, as functions of what the student sees."""
        return [self._recalled(name).seen_through(student) for name in names]

    def _recalled(self, name: str) -> Teacher:
        if name not in self._teachers:
            whiten = recipe_of(name).whiten
            self._teachers[name] = recall(name, self.source, self.lens(whiten))
        return self._teachers[name]
