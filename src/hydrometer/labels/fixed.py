"""Labels a teacher gave once, to the images as they are stored."""

from __future__ import annotations

from hydrometer.labels.given import Given
from hydrometer.registry import register


@register("labels")
class Fixed(Given):
    """One vector of teacher logits for each image, whatever its augmentation: DD-Ranking's mode S.

    The engine asks the teachers before the first step and hands the answer over as stored labels.
    """
