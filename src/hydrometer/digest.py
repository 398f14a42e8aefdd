"""Identity of things by content: SHA-256 over canonical JSON and over tensors, never over files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from hydrometer.registry import parse
from hydrometer.types import Recipe, Spec, Trial

if TYPE_CHECKING:
    from torch import Tensor

LENGTH = 20
"""Hex digits kept: 80 bits, ample against accident."""


def of(thing: object) -> str:
    """Digest of plain data, dataclasses and specs, independent of key order."""
    return hashlib.sha256(canonical(thing).encode()).hexdigest()[:LENGTH]


def canonical(thing: object) -> str:
    """The thing as JSON with sorted keys and no spaces; specs become their text."""
    return json.dumps(_plain(thing), sort_keys=True, separators=(",", ":"), allow_nan=False)


def of_tensors(*tensors: Tensor | None, salt: str = "") -> str:
    """Digest of the values, types and shapes of tensors, in order; an absent one counts as absent."""
    state = hashlib.sha256(salt.encode())
    for tensor in tensors:
        if tensor is None:
            state.update(b"absent;")
            continue
        state.update(f"{tensor.dtype}{tuple(tensor.shape)};".encode())
        flat = tensor.detach().cpu().contiguous()
        state.update(flat.numpy().data if flat.numel() else b"")
    return state.hexdigest()[:LENGTH]


def of_trial(trial: Trial) -> str:
    """The key of a run: digest of set, recipe, source and seed."""
    return of(
        [trial.set_digest, of(trial.recipe), trial.source_digest, trial.seed],
    )


def recipe_from(text: str) -> Recipe:
    """The recipe that `canonical(recipe)` wrote."""
    raw: dict[str, Any] = json.loads(text)
    for name in ("student", "optimiser", "schedule", "loss", "whiten"):
        raw[name] = None if raw[name] is None else parse(raw[name])
    raw["augment"] = tuple(parse(a) for a in raw["augment"])
    raw["teacher"] = tuple(raw["teacher"])
    return Recipe(**raw)


def _plain(thing: object) -> Any:
    if isinstance(thing, Spec):
        return str(thing)
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return {
            f.name: _plain(getattr(thing, f.name))
            for f in dataclasses.fields(thing)
            if not _omitted(thing, f)
        }
    if isinstance(thing, list | tuple):
        return [_plain(x) for x in thing]
    if isinstance(thing, dict):
        return {str(k): _plain(v) for k, v in thing.items()}
    return thing


def _omitted(thing: Any, field: dataclasses.Field[Any]) -> bool:
    """Whether a field came later than stored digests and says nothing here."""
    return "omitted" in field.metadata and getattr(thing, field.name) == field.default
