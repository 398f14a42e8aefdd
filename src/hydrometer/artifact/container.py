"""Compressed sets in one safetensors file, with the card as canonical JSON in its metadata.

The card sits under a single key because safetensors writes several keys in an arbitrary order, so
that the same set would give other bytes each time. Identity is the digest of the tensors and class
names, never of the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from hydrometer import digest
from hydrometer.artifact.checks import check, consistent, present, renamed
from hydrometer.artifact.writing import whole
from hydrometer.types import Bytes, Card, CompressedSet, HydrometerError, Source, Stored

_KEY = "hydrometer"
_SCHEMA = 1


class _Header(Stored):
    card: Card
    digest: str


def make(
    images: Tensor,
    labels: Tensor,
    *,
    source: Source,
    method: str,
    budget: str,
    seed: int | None,
    seconds: float,
    soft: Tensor | None = None,
    weights: Tensor | None = None,
    index: Tensor | None = None,
    student_lr: float | None = None,
    notes: Sequence[str] = (),
    teacher_bytes: int = 0,
) -> CompressedSet:
    """Build a checked compressed set, with its card filled in and its bytes counted.

    `images` is (n, c, h, w) uint8 or float32 in pixel space, `labels` (n,) int64, `soft` (n, k)
    float32 logits, `weights` (n,) float32, `index` (n,) int64 original rows; the set keeps them on
    the CPU. `seconds` is the wall time of the method, `teacher_bytes` what a teacher needs.

    Raises:
        HydrometerError: The tensors contradict each other or the source.
    """
    if not 0 <= seconds < math.inf:
        raise HydrometerError(f"seconds is {seconds}; give a finite wall time of at least 0")
    card = Card(
        source=source.name,
        source_digest=source.digest,
        classes=source.classes,
        method=method,
        budget=budget,
        seed=seed,
        seconds=seconds,
        bytes=bytes_of(images, labels, soft, weights, len(source.classes), teacher_bytes),
        student_lr=student_lr,
        notes=tuple(notes),
    )
    images, labels = _resident(images), _resident(labels)
    optional = [None if t is None else _resident(t) for t in (soft, weights, index)]
    made = CompressedSet(images, labels, card, "", *optional)
    check(made, source)
    return replace(made, digest=identity(made))


def align(compressed: CompressedSet, source: Source) -> CompressedSet:
    """The set in the source's class order, labels mapped by class name, and checked.

    A set that is in order already comes back as it is; a mapped one has another digest and a note.

    Raises:
        HydrometerError: The classes cannot be matched by name, or another check fails.
    """
    consistent(compressed)
    if compressed.card.classes != source.classes:
        note = f"labels mapped by name to the class order of {source.name}"
        mapped = renamed(compressed, source)
        card = mapped.card.model_copy(update={"notes": (*mapped.card.notes, note)})
        mapped = replace(mapped, card=card)
        compressed = replace(mapped, digest=identity(mapped))
    check(compressed, source)
    return compressed


def identity(compressed: CompressedSet) -> str:
    """Digest of images, labels, soft labels, weights and class names; nothing else of the card."""
    return digest.of_tensors(
        compressed.images,
        compressed.labels,
        compressed.soft,
        compressed.weights,
        salt=digest.canonical(compressed.card.classes),
    )


def save(compressed: CompressedSet, path: Path) -> None:
    """Write a set to one safetensors file, whole or not at all; the same set gives the same bytes.

    Raises:
        HydrometerError: The file cannot be written.
    """
    header = _Header(card=compressed.card, digest=compressed.digest)
    text = digest.canonical(header.model_dump(mode="json"))
    arrays = {name: tensor.numpy() for name, tensor in present(compressed).items()}
    with whole(path) as draft:
        try:
            # The library's files are for their owner alone, whatever the umask says.
            draft.touch()
            mode = draft.stat().st_mode
            save_file(arrays, draft, metadata={_KEY: text})
            draft.chmod(mode)
        except SafetensorError as error:
            # The library wraps errors of the disk in its own type.
            raise OSError(str(error)) from error


def load(path: Path) -> CompressedSet:
    """Read a set that `save` wrote, and verify that its tensors still have its digest.

    Raises:
        HydrometerError: The file is missing, truncated, altered, of a newer schema, or no
            compressed set at all.
    """
    tensors, header = _read(path)
    missing = [name for name in ("images", "labels") if name not in tensors]
    if missing:
        raise HydrometerError(f"{path} holds no {' and no '.join(missing)}; make the set again")
    loaded = CompressedSet(
        tensors["images"],
        tensors["labels"],
        header.card,
        header.digest,
        *(tensors.get(name) for name in ("soft", "weights", "index")),
    )
    consistent(loaded)
    if identity(loaded) != header.digest:
        raise HydrometerError(
            f"{path} was altered: its tensors do not have the digest {header.digest} on its card"
        )
    return loaded


def _read(path: Path) -> tuple[Mapping[str, Tensor], _Header]:
    if not path.is_file():
        raise HydrometerError(f"no compressed set at {path}; give a file that hydrometer wrote")
    try:
        with safe_open(path, framework="pt") as file:
            header = _header(path, file.metadata())
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise HydrometerError(
            f"{path} is truncated or not a safetensors file ({error}); `import` reads other formats"
        ) from error


def _header(path: Path, metadata: Mapping[str, str] | None) -> _Header:
    text = (metadata or {}).get(_KEY)
    if text is None:
        raise HydrometerError(
            f"{path} is a safetensors file without a hydrometer card; import it first"
        )
    try:
        version = json.loads(text)["card"]["schema_version"]
        if isinstance(version, int) and version > _SCHEMA:
            raise HydrometerError(
                f"{path} has schema {version}, newer than {_SCHEMA}; update hydrometer to read it"
            )
        return _Header.model_validate_json(text)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise HydrometerError(f"{path} has an unreadable card ({type(error).__name__})") from error


def bytes_of(
    images: Tensor,
    labels: Tensor,
    soft: Tensor | None,
    weights: Tensor | None,
    classes: int,
    teacher: int,
) -> Bytes:
    """Bytes as stored: a hard label takes one byte for up to 256 classes, else two.

    Soft labels and weights count as labels; `index` is provenance, not needed to train, and free.
    """
    hard = labels.numel() * (1 if classes <= 256 else 2)
    extra = sum(t.numel() * t.element_size() for t in (soft, weights) if t is not None)
    return Bytes(
        images=images.numel() * images.element_size(), labels=hard + extra, teacher=teacher
    )


def _resident(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()
