"""Cross entropy with hard labels."""

from __future__ import annotations

from torch import Tensor

from hydrometer.losses import LossFn
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("loss")
def cross_entropy(*, label_smoothing: float = 0.0) -> LossFn:
    """-log softmax(s)[y], or against y mixed with the uniform distribution by `label_smoothing`.

    Label smoothing is that of arXiv 1512.00567, section 7: the target is (1 - e) for the label plus
    e / k for each of the k classes.

    Raises:
        HydrometerError: The smoothing is not in [0, 1).
    """
    if not 0 <= label_smoothing < 1:
        raise HydrometerError(
            f"label_smoothing={label_smoothing} is out of range; it lies in [0, 1)"
        )

    def loss(logits: Tensor, soft: Tensor | None, labels: Tensor, /) -> Tensor:
        log_p = logits.log_softmax(-1)
        hit = log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
        return -(1 - label_smoothing) * hit - label_smoothing * log_p.mean(-1)

    return loss
