"""What a process needs that trains someone else's cohorts: the lab, the plug-ins and the teachers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from hydrometer import registry, sources
from hydrometer.artifact.rows import whole
from hydrometer.engine import teachers
from hydrometer.engine.calibration import Work
from hydrometer.engine.choice import Choice
from hydrometer.engine.loop import Job
from hydrometer.execute.lab import Lab
from hydrometer.types import Card, CompressedSet, HydrometerError, Source, Trial

SHIPPED_BYTES = 2 * 2**30
"""Sources up to this size travel to the workers; larger ones must be there, under the same name."""


@dataclass(frozen=True)
class Setting:
    """Where cohorts are to be trained: on which source, on what device, by how many threads, and how.

    Threads and choices decide in which order a processor adds, so the same ones give the same digits.
    """

    source: str
    digest: str
    device: str
    threads: int
    plugins: tuple[Path, ...] = ()
    choices: tuple[tuple[Work, Choice], ...] = ()


def setting(lab: Lab, device: str) -> Setting:
    """The setting in which others give the digits that this process would, on such a device."""
    source = lab.source
    return Setting(
        source.name,
        source.digest,
        device,
        torch.get_num_threads(),
        registry.used(),
        tuple(lab.choices.items()) if device == "cpu" else (),
    )


def travels(source: Source) -> bool:
    """Whether a source is small enough to be sent to another machine."""
    return image_bytes(source) <= SHIPPED_BYTES


def image_bytes(source: Source) -> int:
    """Bytes of all stored images of a source."""
    return sum(part.images.nbytes for part in (source.train, source.val, source.test))


class Parcels:
    """Sets on their way to those who have the source: all of `train` travels as its card alone."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._whole = ""

    def light(self, data: CompressedSet) -> bool:
        """Whether a set is all of `train`, in order."""
        if len(data) != len(self.source.train):
            return False
        self._whole = self._whole or whole(self.source).digest
        return data.digest == self._whole


def unpacked(trial: Trial, sent: CompressedSet | Card, lab: Lab) -> Job:
    """The job of a trial whose set has arrived, or the card of all of `train`."""
    data = dataclasses.replace(whole(lab.source), card=sent) if isinstance(sent, Card) else sent
    return Job(trial, data)


@dataclass(frozen=True)
class Order:
    """One student to train; source and teachers are there when the worker may not have them."""

    setting: Setting
    source: Source | None
    teachers: Mapping[str, bytes]
    trial: Trial
    data: CompressedSet | Card


class Worker:
    """A process that trains what it is told to, and keeps the lab of the last source it saw."""

    def __init__(self) -> None:
        self._lab: Lab | None = None
        self._plugins: set[Path] = set()

    def prepare(self, wanted: Setting, sent: Callable[[], Source | None]) -> Lab:
        """The lab of a setting; `sent` hands over the source, or nothing where it did not travel."""
        for path in wanted.plugins:
            if path not in self._plugins:
                registry.use(path)
                self._plugins.add(path)
        torch.set_num_threads(wanted.threads)
        lab, device = self._lab, torch.device(wanted.device)
        if lab is None or (lab.source.digest, lab.device) != (wanted.digest, device):
            lab = self._lab = Lab(sent() or _reopened(wanted), device)
        lab.choices = dict(wanted.choices)
        return lab

    def job(self, order: Order) -> tuple[Job, Lab]:
        """The job of an order, and the lab to train it in."""
        self.learn({name: partial(bytes, content) for name, content in order.teachers.items()})
        lab = self.prepare(order.setting, lambda: order.source)
        return unpacked(order.trial, order.data, lab), lab

    def learn(self, sent: Mapping[str, Callable[[], bytes]]) -> None:
        """Put those teachers into this machine's cache that it does not hold yet."""
        for name, content in sent.items():
            if not teachers.known(name):
                teachers.unpack(name, content())


def _reopened(wanted: Setting) -> Source:
    """The source of that name on this machine, from its memory-mapped cache."""
    source = sources.load(wanted.source)
    if source.digest != wanted.digest:
        raise HydrometerError(
            f"source {wanted.source!r} of this worker has digest {source.digest}, not "
            f"{wanted.digest}; give all machines the same files"
        )
    return source
