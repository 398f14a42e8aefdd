"""Cross entropy with soft labels."""

from __future__ import annotations

from torch import Tensor

from hydrometer.losses import LossFn, required
from hydrometer.losses.temperature import scale
from hydrometer.registry import register


@register("loss")
def soft_cross_entropy(*, temperature: float = 1.0, squared: bool = False) -> LossFn:
    """-sum softmax(t/T) log softmax(s/T) of teacher logits t and student logits s.

    The loss `sce` of DD-Ranking (arXiv 2505.13300) and of DATM (arXiv 2310.05773, T = 1). `squared`
    multiplies it by T squared. It differs from `kl` by the entropy of the soft labels.
    """
    factor = scale(temperature, squared)

    def loss(logits: Tensor, soft: Tensor | None, labels: Tensor, /) -> Tensor:
        p = (required(soft, "soft-cross-entropy") / temperature).softmax(-1)
        return -factor * (p * (logits / temperature).log_softmax(-1)).sum(-1)

    return loss
