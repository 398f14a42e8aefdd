"""How a processor takes a student's steps: changes their speed and, beyond rounding, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from hydrometer.types import Stored

PART = 256
"""Images whose activations are held at once on a processor, where larger batches only cost memory."""

Layout = Literal["contiguous", "channels-last"]
_FORMATS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


class Choice(Stored):
    """One way to take a step; all give the same students up to float32 rounding."""

    layout: Layout = "contiguous"
    threads: int | None = None
    """Threads of a step, or None for all that the process may use."""
    part: int = PART
    compiled: bool = False

    def __str__(self) -> str:
        words = [
            self.layout if self.layout != "contiguous" else "",
            f"{self.threads} threads" if self.threads is not None else "",
            f"parts of {self.part}" if self.part != PART else "",
            "compiled" if self.compiled else "",
        ]
        return ", ".join(filter(None, words)) or "default"

    def laid(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w) in this memory format."""
        return images.contiguous(memory_format=_FORMATS[self.layout])

    def prepared(self, model: nn.Module) -> nn.Module:
        """The model with its kernels in this memory format; a contiguous one as it is."""
        if self.layout == "channels-last":
            model.to(memory_format=torch.channels_last)
        return model

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use this many threads inside, and as many as before after."""
        with on_threads(self.threads):
            yield


@contextmanager
def on_threads(wanted: int | None) -> Iterator[None]:
    """Use at most so many threads inside, and as many as before after."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(wanted or before, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


DEFAULT = Choice()
"""What measured well on few cores (docs/performance.md), used until another is clearly faster."""
