"""The label bank: a teacher's labels of every view of some epochs, in shards that are read lazily.

A bank is a folder: `labels-00000.safetensors`, ..., each with the labels of a few whole epochs, and
`bank.json`, written last, which says what they belong to. Labels stand in the order of the views: epoch
by epoch, batch by batch. Which image a view shows, its crop, flip, mixing partner and share are
functions of (seed, purpose, step, position) and are drawn again, so they cost nothing; the released FKD
format stores them (about 29 bytes a view).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hydrometer import digest
from hydrometer.transfer import handed
from hydrometer.types import HydrometerError, Recipe, Source, Stored

CARD = "bank.json"
NOTHING = -1e4
"""The logit of a class that a top-k bank does not keep: no probability at any usual temperature."""
VIEW = ("batch", "augment", "whiten")
"""The parts of a recipe that decide what a view shows."""


class Shard(Stored):
    """One file of a bank: epochs `first` to `last`, exclusive, and what it must weigh and hold.

    `seconds` is the wall time of its labelling, whenever that was.
    """

    name: str
    first: int
    last: int
    bytes: int
    digest: str
    seconds: float


class BankCard(Stored):
    """What a bank holds, and what it belongs to.

    `view` is what of the recipe decides the views, as canonical JSON. `epochs` are stored of the
    `of_epochs` that the protocol trains; students cycle through them. `top` is how many logits of each
    view are kept, None for all.
    """

    schema_version: Literal[1] = 1
    set_digest: str
    source: str
    source_digest: str
    classes: tuple[str, ...]
    protocol: str
    teachers: tuple[str, ...]
    labels: str
    view: str
    seed: int
    epochs: int
    of_epochs: int
    views: int
    """Views of an epoch."""
    top: int | None = None

    @property
    def identity(self) -> str:
        """Digest of all that decides the labels, known before any is made."""
        told = self.model_dump(mode="json", exclude={"protocol", "of_epochs"})
        return digest.of(told)

    @property
    def batch(self) -> int:
        """Views of a step."""
        return int(json.loads(self.view)["batch"])

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.views // self.batch)

    @property
    def complete(self) -> bool:
        """Whether it holds all that an online teacher says, to the rounding of fp16."""
        return self.top is None and self.epochs == self.of_epochs

    @property
    def form(self) -> str:
        """The form in words."""
        kept = f"top {self.top} of {len(self.classes)} logits" if self.top else "all logits"
        pruned = f"{self.epochs} epochs over and over for {self.of_epochs}"
        return (
            f"{kept}, fp16, {f'{self.epochs} epochs' if self.epochs == self.of_epochs else pruned}"
        )


class Contents(Stored):
    """`bank.json`."""

    card: BankCard
    shards: tuple[Shard, ...]

    @property
    def seconds(self) -> float:
        """Wall time of labelling, without the training of the teacher."""
        return sum(shard.seconds for shard in self.shards)

    @property
    def digest(self) -> str:
        """Digest of the card and of every label."""
        return digest.of([self.card.identity, [shard.digest for shard in self.shards]])


def encode(logits: Tensor, top: int | None) -> dict[str, Tensor]:
    """Logits (n, classes) as stored: fp16, all of them or the `top` largest with their classes.

    Raises:
        HydrometerError: A logit is beyond what fp16 holds.
    """
    if top is None:
        return {"logits": _half(logits)}
    values, classes = logits.topk(top, dim=-1)
    return {"logits": _half(values), "classes": classes.to(class_type(logits.shape[-1]))}


def decode(stored: Mapping[str, Tensor], classes: int) -> Tensor:
    """Logits (n, classes) float32 of what `encode` made.

    Softmax over them renormalises what a top-k bank keeps, at any temperature.
    """
    logits = stored["logits"].float()
    if "classes" not in stored:
        return logits
    full = torch.full((len(logits), classes), NOTHING, device=logits.device)
    return full.scatter_(1, stored["classes"].long(), logits)


def class_type(classes: int) -> torch.dtype:
    """The smallest type that numbers the classes."""
    if classes <= 2**8:
        return torch.uint8
    return torch.int16 if classes <= 2**15 else torch.int32


def view_of(recipe: Recipe) -> str:
    """What of a recipe decides its views, as canonical JSON."""
    return digest.canonical({name: getattr(recipe, name) for name in VIEW})


@dataclass
class LabelBank:
    """An open bank; one epoch of it is held at a time."""

    folder: Path
    contents: Contents
    _held: tuple[int, torch.device, dict[str, Tensor]] | None = None

    @property
    def card(self) -> BankCard:
        """What the bank holds."""
        return self.contents.card

    @property
    def bytes(self) -> int:
        """What its shards weigh, headers included."""
        return sum(shard.bytes for shard in self.contents.shards)

    def labels(self, epoch: int, views: slice, device: torch.device) -> Tensor:
        """Logits (b, classes) of some views of an epoch, in the order in which students see them."""
        if self._held is None or self._held[:2] != (epoch, device):
            stored = {name: handed(part, device) for name, part in self._read(epoch).items()}
            self._held = (epoch, device, stored)
        held = {name: part[views] for name, part in self._held[2].items()}
        return decode(held, len(self.card.classes))

    def check(self, set_digest: str, source: Source, recipe: Recipe) -> None:
        """Refuse a set, source or recipe whose views are not those of the bank.

        Raises:
            HydrometerError: One of them differs; the message says which, and from what.
        """
        card, again = self.card, "write a bank for it with `hydrometer relabel`"
        if card.classes != source.classes:
            raise HydrometerError(
                f"bank {self.folder} labels {len(card.classes)} classes that are not those of "
                f"{source.name}; {again}"
            )
        for what, mine, theirs in (
            ("set", card.set_digest, set_digest),
            ("source", card.source_digest, source.digest),
        ):
            if mine != theirs:
                raise HydrometerError(
                    f"bank {self.folder} belongs to {what} {mine}, not to {theirs}; {again}"
                )
        mine, theirs = json.loads(card.view), json.loads(view_of(recipe))
        for name in VIEW:
            if mine[name] != theirs[name]:
                raise HydrometerError(
                    f"bank {self.folder} was written with {name}={_text(mine[name])}, but this "
                    f"recipe has {name}={_text(theirs[name])}; {again}"
                )

    def verify(self) -> None:
        """Read every label and compare it with its digest.

        Raises:
            HydrometerError: A shard was altered.
        """
        for shard in self.contents.shards:
            if read_digest(self.folder / shard.name) != shard.digest:
                raise HydrometerError(f"{self.folder / shard.name} was altered; {MEND}")

    def _read(self, epoch: int) -> dict[str, Tensor]:
        shard = next(s for s in self.contents.shards if s.first <= epoch < s.last)
        try:
            with safe_open(str(self.folder / shard.name), framework="pt") as file:
                # A slice of a memory-mapped file: no other epoch is read.
                return {
                    name: file.get_slice(name)[epoch - shard.first]
                    for name in file.keys()  # noqa: SIM118
                }
        except (SafetensorError, OSError) as error:
            raise _damaged(self.folder / shard.name, str(error)) from error


MEND = "run the same `hydrometer relabel` again, which writes anew only what is missing or damaged"


def open_bank(folder: Path) -> LabelBank:
    """A finished bank, its shards present and of the right size; labels are read when they are needed.

    Raises:
        HydrometerError: There is no bank, it is unfinished, or a shard is missing or truncated.
    """
    path = folder / CARD
    if not path.is_file():
        unfinished = folder.is_dir() and any(folder.glob("labels-*.safetensors"))
        why = f"is unfinished; {MEND}" if unfinished else "is not a label bank; see `relabel`"
        raise HydrometerError(f"{folder} {why}")
    try:
        contents = Contents.model_validate_json(path.read_text())
    except (ValidationError, UnicodeDecodeError) as error:
        raise HydrometerError(f"{path} is unreadable ({type(error).__name__}); {MEND}") from error
    for shard in contents.shards:
        file = folder / shard.name
        size = file.stat().st_size if file.is_file() else 0
        if size != shard.bytes:
            raise _damaged(file, f"{size} of {shard.bytes} bytes are there")
    return LabelBank(folder, contents)


def read_digest(file: Path) -> str | None:
    """Digest of a shard's labels; None for a file that is damaged."""
    try:
        with safe_open(str(file), framework="pt") as stored:
            names = sorted(stored.keys())
            return digest.of_tensors(*(stored.get_tensor(name) for name in names))
    except (SafetensorError, OSError):
        return None


def _damaged(file: Path, why: str) -> HydrometerError:
    return HydrometerError(f"shard {file} is missing or truncated ({why}); {MEND}")


def _half(logits: Tensor) -> Tensor:
    half = logits.half()
    if not torch.isfinite(half).all():
        raise HydrometerError(
            f"a label of {float(logits.abs().max()):g} is beyond fp16; the teacher diverged, "
            "train it at a lower rate"
        )
    return half


def _text(value: Any) -> str:
    return "|".join(value) or "none" if isinstance(value, list) else str(value)
