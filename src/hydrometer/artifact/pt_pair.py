"""`images.pt` with `labels.pt` and perhaps `lr.pt`: how MTT, DATM and DD-Ranking publish sets."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from hydrometer.artifact import torch_file
from hydrometer.artifact.formats import Foreign
from hydrometer.artifact.writing import whole
from hydrometer.registry import register
from hydrometer.types import CompressedSet, HydrometerError, Source

_IMAGES = ("images.pt", "images_best.pt")
_SMALLEST = 1e-12
_SUM_TOLERANCE = 1e-3
"""Slack of a row of probabilities: half precision over 1 000 classes strays this far from 1, and types
with fewer digits as far as their last one."""


@register("format", "pt-pair")
class PtPair:
    """Two tensors side by side, in a folder or given by the path of the images.

    Images are (n, c, h, w), uint8 or float. Integer labels (n,) are hard. Float labels (n, k) are
    soft: kept as logits, with their argmax as hard label; rows of probabilities become logits by
    log(max(p, 1e-12)), whose softmax is p again. Numbers from 0 to 1 that sum to something else are
    refused: as logits they would mean nearly nothing.
    """

    def __init__(self, labels: str | None = None) -> None:
        self._labels = None if labels is None else Path(labels)

    def fits(self, path: Path) -> bool:
        """Whether the folder holds such images, or the file is named like them."""
        if path.is_dir():
            return any((path / name).is_file() for name in _IMAGES)
        return path.suffix in {".pt", ".pth"} and "images" in path.stem

    def read(self, path: Path, source: Source) -> Foreign:
        """Read images, labels and, where there is one, the learned student rate."""
        file = _images_file(path)
        images = pixels(torch_file.tensor(file), file)
        labels_file = self._labels or _beside(file, "labels")
        labels, soft, notes = supervision(torch_file.tensor(labels_file), labels_file)
        return Foreign(images, labels, soft, student_lr=_rate(_beside(file, "lr")), notes=notes)

    def write(self, compressed: CompressedSet, path: Path) -> tuple[str, ...]:
        """Write a folder of float32 pixel images, labels (soft where there are any) and rate."""
        images = compressed.images
        floats = images.float() / 255 if images.dtype == torch.uint8 else images
        labels = compressed.labels if compressed.soft is None else compressed.soft
        rate = compressed.card.student_lr
        with whole(path) as draft:
            draft.mkdir()
            torch_file.write(floats, draft / "images.pt")
            torch_file.write(labels, draft / "labels.pt")
            if rate is not None:
                torch_file.write(torch.tensor(rate, dtype=torch.float64), draft / "lr.pt")
        return _lost(compressed)


def pixels(images: Tensor, path: Path) -> Tensor:
    """Images as uint8 or float32, refused in any other type."""
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise HydrometerError(f"{path} holds images of {images.dtype}; give uint8 or floats")
    return images.to(torch.float32)


def supervision(labels: Tensor, path: Path) -> tuple[Tensor, Tensor | None, tuple[str, ...]]:
    """Hard labels (n,), soft labels (n, k) as logits or none, and notes, from either kind."""
    if labels.dim() == 1 and not labels.is_floating_point() and labels.dtype != torch.bool:
        return labels.to(torch.int64), None, ()
    if labels.dim() != 2 or not labels.is_floating_point() or not labels.shape[1]:
        raise HydrometerError(
            f"{path} holds labels of shape {tuple(labels.shape)} and {labels.dtype}; "
            f"give integers (n,) or floats (n, k)"
        )
    soft = labels.to(torch.float32)
    hard = soft.argmax(dim=1)
    if not _in_unit(soft):
        return hard, soft, ()
    astray = (soft.sum(dim=1) - 1).abs()
    if bool((astray > max(_SUM_TOLERANCE, torch.finfo(labels.dtype).eps)).any()):
        row = int(astray.argmax())
        total = float(soft[row].sum())
        raise HydrometerError(
            f"{path} holds numbers from 0 to 1, of which row {row} sums to {total:.4g}: "
            "divide each row by its sum if they are probabilities, or subtract 1 if they are logits"
        )
    return hard, soft.clamp(min=_SMALLEST).log(), ("probabilities stored as their logarithms",)


def _in_unit(soft: Tensor) -> bool:
    return bool(((soft >= 0) & (soft <= 1 + _SUM_TOLERANCE)).all())


def _images_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = [path / name for name in _IMAGES if (path / name).is_file()]
    if len(found) != 1:
        state = "both" if found else "none"
        raise HydrometerError(f"{path} must hold one of {' or '.join(_IMAGES)}; it has {state}")
    return found[0]


def _beside(images: Path, what: str) -> Path:
    """The file of labels or rate that belongs to the images: same folder, same affixes."""
    if "images" not in images.name:
        raise HydrometerError(
            f"{images} does not have 'images' in its name, so its labels cannot be found; "
            f"name them with --labels"
        )
    return images.with_name(images.name.replace("images", what))


def _rate(path: Path) -> float | None:
    if not path.is_file():
        return None
    rate = torch_file.tensor(path)
    if rate.numel() != 1 or not bool(torch.isfinite(rate).all()):
        raise HydrometerError(f"{path} holds {tuple(rate.shape)} values; give one finite rate")
    return float(rate.item())


def _lost(compressed: CompressedSet) -> tuple[str, ...]:
    notes = []
    if compressed.images.dtype == torch.uint8:
        notes.append("uint8 images became float32, four times their size")
    for name in ("weights", "index"):
        if getattr(compressed, name) is not None:
            notes.append(f"{name} are not kept by pt-pair")
    soft = compressed.soft
    if soft is not None and not torch.equal(soft.argmax(dim=1), compressed.labels):
        notes.append("hard labels are not kept where soft labels prefer another class")
    return tuple(notes)
