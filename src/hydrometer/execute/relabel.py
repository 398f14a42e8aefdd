"""Write a label bank: every view of some epochs, labelled once by a recipe's teachers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hydrometer import digest
from hydrometer.artifact.writing import whole
from hydrometer.engine.loop import Cohort, Job, cuts
from hydrometer.execute import Observer, Silent
from hydrometer.execute.lab import Lab
from hydrometer.labels.shards import (
    CARD,
    BankCard,
    Contents,
    LabelBank,
    Shard,
    encode,
    open_bank,
    read_digest,
    view_of,
)
from hydrometer.types import CompressedSet, HydrometerError, Recipe, Trial

SHARD_BYTES = 64 * 2**20
"""A shard holds whole epochs, up to this size."""
LEAST_SHARDS = 20
"""Of a bank with so many epochs or more: a kill loses at most a twentieth of the work."""
_KEY = "hydrometer"


@dataclass(frozen=True)
class Form:
    """Which labels a bank keeps: of the first `epochs`, the `top` logits of each; None keeps all."""

    epochs: int | None = None
    top: int | None = None


def relabel(
    data: CompressedSet,
    recipe: Recipe,
    lab: Lab,
    folder: Path,
    *,
    form: Form | None = None,
    seed: int = 0,
    protocol: str = "",
    observer: Observer | None = None,
) -> LabelBank:
    """Label every view of a recipe's epochs and write them to a folder; whole shards are kept.

    A bank that was stopped goes on where it was. Its shards are written whole or not at all.

    Raises:
        HydrometerError: The recipe has no teacher, the form is out of range, the folder holds another
            bank, or the disk is full.
    """
    card = _card(data, recipe, lab, form or Form(), seed, protocol)
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_foreign(folder, card)
    (folder / CARD).unlink(missing_ok=True)
    lens = lab.lens(recipe.whiten)
    trial = Trial(data.digest, lab.source.digest, recipe, seed)
    teachers = lab.teachers(recipe.teacher, lens, recipe.labels)
    cohort = Cohort([Job(trial, data)], lab.source, lens, teachers)
    watcher = observer or Silent()
    ranges = list(_ranges(card))
    missing = [r for r in ranges if _kept(folder, card, *r) is None]
    watcher.begin(sum(last - first for first, last in missing) * card.steps, 0)
    shards = [
        _kept(folder, card, first, last) or _write(folder, card, cohort, first, last, watcher)
        for first, last in ranges
    ]
    with whole(folder / CARD) as draft:
        contents = Contents(card=card, shards=tuple(shards))
        draft.write_text(contents.model_dump_json(indent=1))
    return open_bank(folder)


def _card(
    data: CompressedSet, recipe: Recipe, lab: Lab, form: Form, seed: int, protocol: str
) -> BankCard:
    classes = lab.source.classes
    if not recipe.teacher:
        raise HydrometerError("a bank holds a teacher's labels, and this recipe has no teacher")
    if form.top is not None and not 1 <= form.top < len(classes):
        raise HydrometerError(
            f"top={form.top} is out of range; keep 1 to {len(classes) - 1} of {len(classes)} logits"
        )
    epochs = recipe.epochs if form.epochs is None else form.epochs
    if not 1 <= epochs <= recipe.epochs:
        raise HydrometerError(f"epochs={epochs} is out of range; keep 1 to {recipe.epochs}")
    return BankCard(
        set_digest=data.digest,
        source=lab.source.name,
        source_digest=lab.source.digest,
        classes=classes,
        protocol=protocol,
        teachers=recipe.teacher,
        labels=recipe.labels,
        view=view_of(recipe),
        seed=seed,
        epochs=epochs,
        of_epochs=recipe.epochs,
        views=sum(part.stop - part.start for part in cuts(len(data), recipe.batch)),
        top=form.top,
    )


def _ranges(card: BankCard) -> Iterator[tuple[int, int]]:
    """First and last epoch, exclusive, of every shard."""
    one = encode(torch.zeros(1, len(card.classes)), card.top)
    weight = card.views * sum(part.element_size() * part.numel() for part in one.values())
    step = max(1, min(SHARD_BYTES // weight, -(-card.epochs // LEAST_SHARDS)))
    for first in range(0, card.epochs, step):
        yield first, min(first + step, card.epochs)


def _name(first: int) -> str:
    return f"labels-{first:05}.safetensors"


def _refuse_foreign(folder: Path, card: BankCard) -> None:
    """Refuse a folder whose shards belong to another bank, finished or not."""
    for file in sorted(folder.glob("labels-*.safetensors")):
        if (found := _told(file)) is not None and found["identity"] != card.identity:
            raise HydrometerError(
                f"{folder} holds another bank (other set, recipe, teacher or form); name a new folder"
            )


def _kept(folder: Path, card: BankCard, first: int, last: int) -> Shard | None:
    """The shard of these epochs, if an earlier run left it whole."""
    file = folder / _name(first)
    found = _told(file)
    if found is None or found["epochs"] != [first, last] or read_digest(file) != found["digest"]:
        return None
    return _shard(file, found)


def _told(file: Path) -> dict[str, Any] | None:
    """What a shard says of itself; None where it is missing or damaged."""
    try:
        with safe_open(str(file), framework="pt") as stored:
            told: dict[str, Any] = json.loads((stored.metadata() or {})[_KEY])
            return told
    except (SafetensorError, OSError, KeyError, ValueError):
        return None


@torch.no_grad()
def _write(
    folder: Path, card: BankCard, cohort: Cohort, first: int, last: int, observer: Observer
) -> Shard:
    parts: list[dict[str, Tensor]] = []
    start = time.perf_counter()
    for epoch in range(first, last):
        draws = cohort.draws(epoch * card.steps, card.steps)
        for position, batch in enumerate(cohort.epoch(epoch)):
            _, target = cohort.view(batch, draws[:, position])
            assert target.soft is not None
            parts.append({k: v.cpu() for k, v in encode(target.soft[0], card.top).items()})
            observer.stepped(1)
    shape = (last - first, card.views)
    stored = {k: torch.cat([part[k] for part in parts]).view(*shape, -1) for k in parts[0]}
    told = digest.of_tensors(*(stored[name] for name in sorted(stored)))
    words = {
        "identity": card.identity,
        "epochs": [first, last],
        "digest": told,
        "seconds": time.perf_counter() - start,
    }
    file = folder / _name(first)
    with whole(file) as draft:
        try:
            save_file(stored, draft, metadata={_KEY: digest.canonical(words)})
        except SafetensorError as error:
            # The library wraps errors of the disk in its own type.
            raise OSError(str(error)) from error
    return _shard(file, words)


def _shard(file: Path, told: Mapping[str, Any]) -> Shard:
    first, last = told["epochs"]
    size, seconds = file.stat().st_size, told["seconds"]
    return Shard(
        name=file.name, first=first, last=last, bytes=size, digest=told["digest"], seconds=seconds
    )
