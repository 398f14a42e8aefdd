"""Divergence of the student from the soft labels."""

from __future__ import annotations

import torch
from torch import Tensor

from hydrometer.losses import LossFn, required
from hydrometer.losses.temperature import scale
from hydrometer.registry import register


@register("loss")
def kl(*, temperature: float = 20.0, squared: bool = False) -> LossFn:
    """KL(softmax(t/T) || softmax(s/T)) of teacher logits t and student logits s.

    The loss of SRe2L (arXiv 2306.13092) and RDED (arXiv 2312.03526), T = 20. `squared` multiplies
    it by T squared, which their ImageNet scripts do not do and SRe2L's Tiny-ImageNet script does.
    """
    factor = scale(temperature, squared)

    def loss(logits: Tensor, soft: Tensor | None, labels: Tensor, /) -> Tensor:
        p = (required(soft, "kl") / temperature).softmax(-1)
        log_q = (logits / temperature).log_softmax(-1)
        # torch's own kl_div has no batching rule, so it would be slow under vmap.
        return factor * (torch.xlogy(p, p) - p * log_q).sum(-1)

    return loss
