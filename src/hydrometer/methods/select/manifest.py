"""Index manifests: a selection as a list of rows, from which its set is rebuilt exactly."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor

from hydrometer.artifact.composites import rows_of, tile
from hydrometer.artifact.container import make
from hydrometer.artifact.writing import whole
from hydrometer.methods import codec
from hydrometer.methods.select.scored import ScoredSet
from hydrometer.registry import parse
from hydrometer.types import Card, CompressedSet, HydrometerError, Source, Stored


class Manifest(Stored):
    """Which images a method kept, in the order of the set; the columns have one value per image.

    Of composites, `index` and `rank` have `tiles` values per image, its sources row by row.
    """

    schema_version: Literal[1] = 1
    source: str
    source_digest: str
    method: str
    seed: int | None
    set_digest: str
    index: tuple[int, ...]
    """Rows of the original train part."""
    rank: tuple[int, ...]
    """Place among the kept of the same class, from 0, in the order they were chosen."""
    score: tuple[float, ...] | None
    """What the method scored each with; none for methods that score nothing."""
    weight: tuple[float, ...] | None
    tiles: int = Field(1, ge=1)
    card: Card

    @model_validator(mode="after")
    def _columns(self) -> Self:
        columns = (self.score, self.weight)
        lengths = {len(column) * self.tiles for column in columns if column is not None}
        if len(lengths | {len(self.index), len(self.rank)}) > 1:
            raise ValueError("index, rank, score and weight have different lengths")
        return self


def describe(compressed: CompressedSet) -> Manifest:
    """The manifest of a set of whole real images, alone or tiled, as its method made it.

    Raises:
        HydrometerError: The set has no row numbers, or has soft labels, which rows cannot give back.
    """
    card = compressed.card
    index = rows_of(card) if compressed.index is None else compressed.index
    if index is None or compressed.soft is not None:
        raise HydrometerError(
            f"a set by {card.method} has no manifest: only real images with hard labels do"
        )
    tiles = index.numel() // max(1, len(compressed)) or 1
    scores = compressed.scores if isinstance(compressed, ScoredSet) else None
    return Manifest(
        source=card.source,
        source_digest=card.source_digest,
        method=card.method,
        seed=card.seed,
        set_digest=compressed.digest,
        index=tuple(index.flatten().tolist()),
        rank=_ranks(compressed.labels.repeat_interleave(tiles).numpy()),
        score=None if scores is None else tuple(scores.tolist()),
        weight=None if compressed.weights is None else tuple(compressed.weights.tolist()),
        tiles=tiles,
        card=card,
    )


def write(manifest: Manifest, path: Path) -> None:
    """Write a manifest as JSON, whole or not at all; the same manifest gives the same bytes."""
    with whole(path) as draft:
        draft.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Manifest:
    """Read a manifest that `write` wrote.

    Raises:
        HydrometerError: There is no such file, or it is no manifest.
    """
    if not path.is_file():
        raise HydrometerError(f"no manifest at {path}; `compress` writes one on request")
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise HydrometerError(f"{path} is no manifest of this version ({error})") from error


def is_manifest(path: Path) -> bool:
    """Whether a file claims to be one; a list of row numbers from elsewhere does not."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return False
    return isinstance(data, dict) and "set_digest" in data


def rebuild(manifest: Manifest, source: Source) -> CompressedSet:
    """The set a manifest describes, with the same digest and the same card.

    Raises:
        HydrometerError: The source is another one, or its images give another set.
    """
    if source.digest != manifest.source_digest:
        raise HydrometerError(
            f"the manifest is of {manifest.source} {manifest.source_digest}, "
            f"but this is {source.name} {source.digest}; load the source it was made from"
        )
    rows = torch.from_numpy(_rows(manifest, source))
    stored_as, whole_images = codec.read(manifest.card.codec), manifest.tiles == 1
    made = make(
        stored_as.opened(_tiled(source.train.images[rows], manifest)),
        source.train.labels[rows[:: manifest.tiles]],
        source=source,
        method=manifest.method,
        budget=manifest.card.budget,
        seed=manifest.seed,
        seconds=manifest.card.seconds,
        weights=None if manifest.weight is None else torch.tensor(manifest.weight),
        index=source.train.index[rows] if whole_images and stored_as.name != "jpeg" else None,
    )
    if made.digest != manifest.set_digest:
        raise HydrometerError(
            f"the manifest's rows give the set {made.digest}, not {manifest.set_digest}; "
            "the manifest was altered"
        )
    return replace(made, card=manifest.card)


def _tiled(images: Tensor, manifest: Manifest) -> Tensor:
    """The images as they are, or as composites through the filter that the method names."""
    if manifest.tiles == 1:
        return images
    filter = parse(manifest.method).kwargs.get("filter", "nearest")
    return tile(images, math.isqrt(manifest.tiles), filter=str(filter))


def _rows(manifest: Manifest, source: Source) -> np.ndarray:
    """Rows of `train`, from rows of the original part."""
    originals = source.train.index.numpy()
    order = np.argsort(originals, kind="stable")
    wanted = np.asarray(manifest.index, dtype=np.int64)
    places = np.minimum(np.searchsorted(originals[order], wanted), len(originals) - 1)
    rows = order[places]
    missing = wanted[originals[rows] != wanted]
    if len(missing):
        raise HydrometerError(f"row {missing[0]} of the manifest is not in train of {source.name}")
    return rows


def _ranks(labels: np.ndarray) -> tuple[int, ...]:
    """How many of the same label came before."""
    seen: dict[int, int] = {}
    ranks = []
    for label in labels.tolist():
        ranks.append(seen.get(label, 0))
        seen[label] = ranks[-1] + 1
    return tuple(ranks)
