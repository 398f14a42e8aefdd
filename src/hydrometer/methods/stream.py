"""What every epoch says of every image, streamed to disk in half precision; nothing stays in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

FIELDS = {
    "loss": np.float16,
    "best_other": np.float16,
    "error_norm": np.float16,
    "margin": np.float16,
    "shift": np.float16,
    "correct": np.bool_,
}
FLOOR = 1e-8
"""Added to a probability before its logarithm is compared with the last epoch's, as TDDS does."""
LAST = ("last-0.npy", "last-1.npy")
"""Of a run in the making: log-probabilities of the last even and the last odd epoch.

Two, so that an epoch that was begun and has to be repeated still finds those of the one before.
"""
Piece = tuple[int, slice]
"""A row of `train`, and which images of a batch lie from there on."""
_HEADER_BYTES = 128
_LARGEST = float(np.finfo(np.float16).max)


class Table:
    """A `.npy` file (rows, columns) filled piece by piece; nothing of it stays in memory.

    Plain writes, because a full disk is an error then, where a memory map would kill the process.
    """

    def __init__(
        self, path: Path, kind: type[np.generic], shape: tuple[int, int], *, begun: bool = False
    ) -> None:
        self.kind, self.columns = np.dtype(kind), shape[1]
        known = open_memmap(path, "r") if begun else open_memmap(path, "w+", kind, shape)
        if known.shape != shape or known.dtype != self.kind:
            raise ValueError(f"{path} holds {known.shape} {known.dtype}, not {shape} {self.kind}")
        self.offset: int = known.offset
        self.path = path

    def open(self) -> None:
        """Make ready to write and read."""
        self.file = self.path.open("r+b")

    def write(self, row: int, column: int, values: NDArray[Any]) -> None:
        """Put values, in C order, where a row and column start."""
        self._seek(row, column)
        self.file.write(values.astype(self.kind, copy=False).tobytes())

    def read(self, row: int, column: int, count: int) -> NDArray[Any]:
        """The `count` values from a row and column on, in C order."""
        self._seek(row, column)
        return np.frombuffer(self.file.read(count * self.kind.itemsize), self.kind)

    def flush(self) -> None:
        """Have everything written so far on the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def _seek(self, row: int, column: int) -> None:
        self.file.seek(self.offset + (row * self.columns + column) * self.kind.itemsize)


class Recorder:
    """Takes the logits of every epoch batch by batch and streams what they say of each image."""

    def __init__(
        self, folder: Path, images: int, epochs: int, classes: int, *, begun: bool = False
    ) -> None:
        self.last = [
            Table(folder / name, np.float16, (images, classes), begun=begun) for name in LAST
        ]
        self.tables = {
            name: Table(folder / f"{name}.npy", kind, (epochs, images), begun=begun)
            for name, kind in FIELDS.items()
        }

    def __enter__(self) -> Self:
        for table in (*self.last, *self.tables.values()):
            table.open()
        return self

    def __exit__(self, *_: object) -> None:
        for table in (*self.last, *self.tables.values()):
            table.file.close()

    def flush(self) -> None:
        """Have everything fed so far on the disk."""
        for table in (*self.last, *self.tables.values()):
            table.flush()

    def feed(self, epoch: int, where: int | Sequence[int], logits: Tensor, labels: Tensor) -> None:
        """Write what some images got; logits (b, k), labels (b,).

        `where` is the row of `train` that they begin at, or the row of each.
        """
        pieces = _pieces(where, len(labels))
        found = measures(logits, labels)
        floored = (logits.softmax(-1) + FLOOR).log()
        if epoch:
            found["shift"] = shift(floored, self._before(epoch, pieces, floored))
        for name, values in found.items():
            half = _half(values)
            for row, part in pieces:
                self.tables[name].write(epoch, row, half[part])
        half = _half(floored)
        for row, part in pieces:
            self.last[epoch % 2].write(row, 0, half[part])

    def _before(self, epoch: int, pieces: list[Piece], like: Tensor) -> Tensor:
        """Log-probabilities of the epoch before, of the shape and on the device of this one's."""
        old = self.last[(epoch - 1) % 2]
        width = like.shape[1]
        found = [old.read(row, 0, (part.stop - part.start) * width) for row, part in pieces]
        kept = np.concatenate(found).reshape(like.shape).astype(np.float32)
        return torch.from_numpy(kept).to(like.device)


def measures(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Fields of `Trace` that one epoch decides, (b,) each, from logits (b, k) and labels (b,)."""
    own = labels[:, None]
    log_p = logits.log_softmax(-1)
    others = log_p.exp().scatter(1, own, 0.0)
    # 1 - p of the label as the sum of the others, which keeps its digits where p rounds to one.
    errors = others.scatter(1, own, -others.sum(1, keepdim=True))
    return {
        "loss": -log_p.gather(1, own)[:, 0],
        "best_other": others.amax(1),
        "error_norm": errors.norm(dim=1),
        "margin": logits.gather(1, own)[:, 0] - logits.scatter(1, own, -torch.inf).amax(1),
        "correct": logits.argmax(-1) == labels,
    }


def shift(log_p: Tensor, log_before: Tensor) -> Tensor:
    """sum_c |p log(p / before)|, (b,), from log-probabilities (b, k): how far a prediction moved."""
    return (log_p.exp() * (log_p - log_before)).abs().sum(1)


def bytes_needed(n: int, epochs: int) -> int:
    """Bytes on disk of one recorded run: eleven per image and epoch; ImageNet-1K, 60 epochs: 0.85 GB.

    While it is made, two more files hold the log-probabilities of two epochs, 4 n k bytes. In memory
    is one batch of logits, on top of what training itself takes.
    """
    per_image = sum(np.dtype(kind).itemsize for kind in FIELDS.values())
    return n * epochs * per_image + _HEADER_BYTES * len(FIELDS)


def _pieces(where: int | Sequence[int], count: int) -> list[Piece]:
    if isinstance(where, int):
        return [(where, slice(0, count))]
    return [(row, slice(i, i + 1)) for i, row in enumerate(where)]


def _half(values: Tensor) -> NDArray[Any]:
    if values.dtype == torch.bool:
        return values.cpu().numpy()
    return values.float().clamp(-_LARGEST, _LARGEST).half().cpu().numpy()
