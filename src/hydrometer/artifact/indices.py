"""Lists of kept rows of a source's train part: how DeepCore and other selections are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hydrometer.artifact.formats import Foreign
from hydrometer.registry import register
from hydrometer.types import HydrometerError, Source

_SUFFIXES = {".npy", ".json", ".txt"}


@register("format", "indices")
class Indices:
    """Row numbers of the original train part, from 0, as `.npy`, a `.json` list, or lines of text.

    The rows are the ones kept. `.json` may hold `{"indices": [...], "weights": [...]}`; `weights`
    names a file of one number per row, in any of these forms. The images are the source's own,
    uint8. Rows of our `val` are kept and counted in a note, because foreign lists cannot know it.
    """

    def __init__(self, weights: str | None = None) -> None:
        self._weights = None if weights is None else Path(weights)

    def fits(self, path: Path) -> bool:
        """Whether the path is a `.npy`, `.json` or `.txt` file."""
        return path.is_file() and path.suffix in _SUFFIXES

    def read(self, path: Path, source: Source) -> Foreign:
        """Gather the rows' images and labels from the source."""
        rows, weights = _list(path)
        if self._weights is not None:
            weights, _ = _list(self._weights)
        index = _rows(rows, path)
        position = _positions(index, source)
        images, labels = _gather(position, source)
        return Foreign(
            images,
            labels,
            weights=None if weights is None else torch.from_numpy(weights.astype(np.float32)),
            index=index,
            notes=_notes(index, int((position >= len(source.train)).sum()), source),
        )


def _list(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The numbers in a file, and the weights beside them in a JSON dictionary."""
    if not path.is_file() or path.suffix not in _SUFFIXES:
        raise HydrometerError(f"no index file {path}; give a .npy, .json or .txt file")
    try:
        if path.suffix == ".npy":
            return _numbers(np.load(path, allow_pickle=False)), None
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".txt":
            return _numbers([json.loads(word) for word in text.split()]), None
        return _json(json.loads(text))
    except (ValueError, TypeError, OSError, EOFError, OverflowError) as error:
        raise HydrometerError(f"{path} is no list of numbers ({error})") from error


def _json(data: object) -> tuple[NDArray[Any], NDArray[Any] | None]:
    if not isinstance(data, dict):
        return _numbers(data), None
    if "indices" not in data:
        raise ValueError("the dictionary has no 'indices'")
    weights = data.get("weights")
    return _numbers(data["indices"]), None if weights is None else _numbers(weights)


def _numbers(data: object) -> NDArray[Any]:
    array = np.asarray(data)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise ValueError(f"shape {array.shape}, type {array.dtype}; expected one row of numbers")
    return array


def _rows(rows: NDArray[Any], path: Path) -> Tensor:
    if rows.dtype.kind == "f":
        raise HydrometerError(f"{path} holds fractions where row numbers are needed")
    return torch.from_numpy(rows.astype(np.int64))


def _positions(index: Tensor, source: Source) -> Tensor:
    """Where each row lies in `train` followed by `val`, which share the original's row numbers."""
    rows = torch.cat([source.train.index, source.val.index])
    places = torch.full((int(rows.max()) + 1,), -1, dtype=torch.int64)
    places[rows] = torch.arange(len(rows))
    inside = (index >= 0) & (index < len(places))
    position = torch.where(inside, places[index.clamp(0, len(places) - 1)], -1)
    if bool((position < 0).any()):
        raise HydrometerError(
            f"row {int(index[position < 0][0])} is not in the train part of {source.name!r}, whose "
            f"rows go from 0 to {len(places) - 1}"
        )
    return position


def _gather(position: Tensor, source: Source) -> tuple[Tensor, Tensor]:
    in_val = position >= len(source.train)
    images = torch.empty((len(position), *source.shape), dtype=torch.uint8)
    labels = torch.empty(len(position), dtype=torch.int64)
    for split, mask, first in (
        (source.train, ~in_val, 0),
        (source.val, in_val, len(source.train)),
    ):
        images[mask] = split.images[position[mask] - first].cpu()
        labels[mask] = split.labels[position[mask] - first].cpu()
    return images, labels


def _notes(index: Tensor, in_val: int, source: Source) -> tuple[str, ...]:
    notes = []
    repeated = len(index) - len(np.unique(index.numpy()))
    if repeated:
        notes.append(f"{repeated} rows repeat an earlier one")
    if in_val:
        notes.append(
            f"{in_val} of {len(index)} rows are in val of {source.name}: val is contaminated, and "
            f"what is chosen on it favours this set"
        )
    return tuple(notes)
