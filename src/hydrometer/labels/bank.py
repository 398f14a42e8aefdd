"""Labels read from a bank, view by view, as an online teacher gave them."""

from __future__ import annotations

from torch import Tensor

from hydrometer.labels import Supplies
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("labels")
class Bank:
    """Stored logits of the very views a student sees: those of the bank's seed, epochs cycled.

    The fast knowledge distillation of SRe2L and its followers (Shen and Xing, arXiv 2112.01528), whose
    files keep boxes, flips and partners; here the engine draws them again. Every student of a bank sees
    the same views, as there, and differs in its initialisation alone.
    """

    mixes = False

    def __init__(self, supplies: Supplies) -> None:
        if supplies.bank is None:
            raise HydrometerError("labels 'bank' need a label bank; give one with --bank")
        self.bank = supplies.bank

    def soft(self, rows: Tensor, images: Tensor, step: int) -> Tensor:
        """The stored logits of the views of a step, for every student of the cohort."""
        card = self.bank.card
        epoch, position = divmod(step, card.steps)
        start = position * card.batch
        views = slice(start, start + rows.shape[1])
        return self.bank.labels(epoch, views, images.device).expand(*rows.shape, -1)
