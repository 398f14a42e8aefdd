"""What a compressed set must satisfy, alone and against the source it is to be measured on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from hydrometer.types import CompressedSet, HydrometerError, Source

_DTYPES = {
    "images": (torch.uint8, torch.float32),
    "labels": (torch.int64,),
    "soft": (torch.float32,),
    "weights": (torch.float32,),
    "index": (torch.int64,),
}
_PIECE = 2**22
"""Numbers that `finite` looks at together."""
_DIMENSIONS = {"images": 4, "labels": 1, "soft": 2, "weights": 1, "index": 1}


def consistent(compressed: CompressedSet) -> None:
    """Refuse a set whose tensors contradict each other or its card.

    Raises:
        HydrometerError: A tensor has the wrong type, shape or length, or holds NaN or infinity; a
            label names no class; a weight or an index is negative.
    """
    for name, tensor in present(compressed).items():
        _form(name, tensor, len(compressed.images))
    classes = len(compressed.card.classes)
    _labels(compressed.labels, classes)
    if compressed.soft is not None and compressed.soft.shape[1] != classes:
        raise HydrometerError(
            f"soft labels have {compressed.soft.shape[1]} columns, but there are {classes} classes"
        )
    for name, tensor in present(compressed).items():
        finite(name, tensor)
    for name in ("weights", "index"):
        _not_negative(name, getattr(compressed, name))


def check(compressed: CompressedSet, source: Source) -> None:
    """Refuse a set that cannot be measured on a source as it stands.

    Raises:
        HydrometerError: The set is not consistent, its images have another shape than the source's,
            or its classes are others, or in another order (which `align` mends).
    """
    consistent(compressed)
    same_shape(compressed.images, source)
    if compressed.card.classes == source.classes:
        return
    resolve(compressed.card.classes, source)
    raise HydrometerError(
        f"the set orders its classes {_few(compressed.card.classes)}, but source {source.name!r} "
        f"{_few(source.classes)}; use align to map the labels by class name"
    )


def resolve(classes: tuple[str, ...], source: Source) -> tuple[int, ...]:
    """The position in the source's class order of each class, found by name.

    Raises:
        HydrometerError: The two do not have the same classes.
    """
    if len(classes) != len(source.classes):
        raise HydrometerError(
            f"the set has {len(classes)} classes, but source {source.name!r} has "
            f"{len(source.classes)}"
        )
    foreign = [name for name in classes if name not in source.classes]
    if foreign or len(set(classes)) != len(classes):
        raise HydrometerError(
            f"the set's classes {_few(foreign or classes)} cannot be matched one to one "
            f"with those of source {source.name!r}: {_few(source.classes)}"
        )
    return tuple(source.classes.index(name) for name in classes)


def same_shape(images: Tensor, source: Source) -> None:
    """Refuse images that are not (n, c, h, w) with the source's c, h and w."""
    if images.dim() != 4 or tuple(images.shape[1:]) != source.shape:
        raise HydrometerError(
            f"images have shape {tuple(images.shape)}, but source {source.name!r} needs "
            f"(n, {', '.join(map(str, source.shape))})"
        )


def finite(name: str, tensor: Tensor) -> None:
    """Refuse NaN and infinity in a tensor, which the message calls by `name`."""
    if not tensor.is_floating_point():
        return
    # Piece by piece, because the check copies what it looks at.
    bad = sum(int((~part.isfinite()).sum()) for part in torch.split(tensor.flatten(), _PIECE))
    if bad:
        raise HydrometerError(
            f"{name} hold {bad} values that are NaN or infinite; all must be finite"
        )


def present(compressed: CompressedSet) -> dict[str, Tensor]:
    """The tensors a set holds, by field name."""
    fields = {name: getattr(compressed, name) for name in _DTYPES}
    return {name: tensor for name, tensor in fields.items() if tensor is not None}


def renamed(compressed: CompressedSet, source: Source) -> CompressedSet:
    """The set with labels and soft labels in the source's class order; its digest is left stale."""
    where = torch.tensor(resolve(compressed.card.classes, source))
    soft = compressed.soft
    if soft is not None:
        soft = torch.empty_like(soft).index_copy_(1, where, soft)
    card = compressed.card.model_copy(update={"classes": source.classes})
    return replace(compressed, labels=where[compressed.labels], soft=soft, card=card)


def _form(name: str, tensor: Tensor, count: int) -> None:
    if tensor.dtype not in _DTYPES[name]:
        choices = " or ".join(str(d).removeprefix("torch.") for d in _DTYPES[name])
        given = str(tensor.dtype).removeprefix("torch.")
        raise HydrometerError(f"{name} are {given}; give {choices}")
    if tensor.dim() != _DIMENSIONS[name]:
        raise HydrometerError(
            f"{name} have shape {tuple(tensor.shape)}; give {_DIMENSIONS[name]} dimensions"
        )
    if len(tensor) != count:
        raise HydrometerError(f"there are {count} images but {len(tensor)} {name}")


def _labels(labels: Tensor, classes: int) -> None:
    outside = labels[(labels < 0) | (labels >= classes)]
    if len(outside):
        raise HydrometerError(
            f"{len(outside)} labels name no class, such as {int(outside[0])}; "
            f"{classes} classes allow 0 to {classes - 1}"
        )


def _not_negative(name: str, tensor: Tensor | None) -> None:
    if tensor is not None and bool((tensor < 0).any()):
        raise HydrometerError(f"{name} go down to {tensor.min().item()}; none may be negative")


def _few(names: tuple[str, ...] | list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
