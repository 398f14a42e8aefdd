"""The splits of a source as one safetensors file, written as a stream and read by memory mapping.

Images, labels and index of train, val and test are nine contiguous tensors, so no split is ever
copied and no pixel is read before it is used. safetensors' own writer wants every tensor in memory
and the metadata first; here neither is at hand before the last image has been decoded.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import torch
from safetensors import safe_open
from torch import Tensor

from hydrometer.sources import parts as original
from hydrometer.sources.parts import Part, Parts, Shape
from hydrometer.types import Split

_SPLITS = ("train", "val", "test")
_FIELDS = ("images", "labels", "index")
_CARD = "card"
_LENGTH = struct.Struct("<Q")
_SPARE = 8192
"""Header bytes kept free for the card beside its class names."""


def card(path: Path) -> str:
    """What `write` was told to say of the splits."""
    with safe_open(path, framework="pt") as file:
        return str(file.metadata()[_CARD])


def splits(path: Path) -> tuple[Split, Split, Split]:
    """Train, val and test, memory-mapped."""
    with safe_open(path, framework="pt") as file:
        train, val, test = (
            Split(*(file.get_tensor(f"{split}.{field}") for field in _FIELDS)) for split in _SPLITS
        )
    return train, val, test


def write(path: Path, name: str, parts: Parts, describe: Callable[[Path], str]) -> None:
    """Store the splits of a dataset batch by batch, then the card that `describe` makes of them.

    Args:
        path: A file that does not exist yet.
        name: The source's name, for errors.
        parts: The dataset; its images are never in memory together.
        describe: Called when all splits can be read from the file; returns the card.
    """
    train, val, test = original.rows(parts)
    header = _Header(_regions((len(train), len(val), len(test)), parts.shape), _room(parts.classes))
    with path.open("xb") as file:
        file.write(header.text(""))
        _write_part(file, header, name, parts.train, parts.shape, {"train": train, "val": val})
        _write_part(file, header, name, parts.test, parts.shape, {"test": test})
        file.flush()
        final = header.text(describe(path))
        file.seek(0)
        file.write(final)
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True)
class _Region:
    """A tensor's place in the file, counted from the end of the header."""

    name: str
    dtype: Literal["I64", "U8"]
    shape: tuple[int, ...]
    start: int

    @property
    def end(self) -> int:
        return self.start + math.prod(self.shape) * (8 if self.dtype == "I64" else 1)


@dataclass(frozen=True)
class _Header:
    """Regions, and a card that may grow up to the room there is for both."""

    regions: tuple[_Region, ...]
    room: int

    def text(self, card: str) -> bytes:
        entries: dict[str, object] = {"__metadata__": {_CARD: card}}
        for r in self.regions:
            offsets = [r.start, r.end]
            entries[r.name] = {"dtype": r.dtype, "shape": r.shape, "data_offsets": offsets}
        return _LENGTH.pack(self.room) + json.dumps(entries).encode().ljust(self.room)

    def position(self, name: str) -> int:
        start = next(region.start for region in self.regions if region.name == name)
        return _LENGTH.size + self.room + start


def _regions(counts: tuple[int, int, int], shape: Shape) -> tuple[_Region, ...]:
    """Integers before images: safetensors wants every tensor aligned, and no gaps."""
    regions: list[_Region] = []
    for field in reversed(_FIELDS):
        for split, count in zip(_SPLITS, counts, strict=True):
            start = regions[-1].end if regions else 0
            name = f"{split}.{field}"
            if field == "images":
                regions.append(_Region(name, "U8", (count, *shape), start))
            else:
                regions.append(_Region(name, "I64", (count,), start))
    return tuple(regions)


def _room(classes: tuple[str, ...]) -> int:
    """A multiple of 8 that holds the header: JSON in JSON, so class names are escaped twice."""
    names = len(json.dumps(json.dumps(classes)))
    return -(-(names + _SPARE) // 8) * 8


def _write_part(
    file: BinaryIO, header: _Header, name: str, part: Part, shape: Shape, rows: dict[str, Tensor]
) -> None:
    """Deal an original part out to the splits that are cut from it."""
    for split, index in rows.items():
        _put(file, header.position(f"{split}.labels"), part.labels[index])
        _put(file, header.position(f"{split}.index"), index)
    images = original.batches(name, part, shape)
    starts = {split: header.position(f"{split}.images") for split in rows}
    _deal(file, images, [(_mask(index, len(part.labels)), starts[s]) for s, index in rows.items()])


def _deal(file: BinaryIO, batches: Iterable[Tensor], targets: list[tuple[Tensor, int]]) -> None:
    """Append the images of each batch to every target: a mask over all rows, and a position."""
    positions = [start for _, start in targets]
    done = 0
    for batch in batches:
        for i, (mask, _) in enumerate(targets):
            chosen = batch[mask[done : done + len(batch)]]
            _put(file, positions[i], chosen)
            positions[i] += chosen.numel()
        done += len(batch)


def _mask(rows: Tensor, count: int) -> Tensor:
    mask = torch.zeros(count, dtype=torch.bool)
    mask[rows] = True
    return mask


def _put(file: BinaryIO, position: int, tensor: Tensor) -> None:
    file.seek(position)
    file.write(tensor.contiguous().numpy().data)
