"""Labels from teachers whose batch norms take the statistics of the batch they see."""

from __future__ import annotations

import torch
from torch import Tensor

from hydrometer.labels.teacher import Teacher
from hydrometer.registry import register


@register("labels", "teacher-batch")
class TeacherBatch(Teacher):
    """Mean logits of an ensemble whose batch norms normalise by the student's own batch.

    "BSSL" of CV-DD (arXiv 2501.07575, section 4), where it is meant; and what SRe2L's and DWA's CIFAR
    scripts do, where the teacher was left in training mode. Dropout stays off, and remembered statistics
    do not drift. The engine hands over teachers in that state.

    Raises:
        HydrometerError: The recipe has no teacher.
    """

    @torch.no_grad()
    def soft(self, rows: Tensor, images: Tensor, step: int) -> Tensor:
        """One forward of each teacher for every student's batch, which must not mix with another's."""
        each = [torch.stack([t(batch).float() for t in self.teachers]).mean(0) for batch in images]
        return torch.stack(each)
