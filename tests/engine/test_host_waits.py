"""Within a chunk of steps nothing is read from the device, for which the host would have to wait.

Tensors without data (`meta`) stand for those of an accelerator: reading one fails here, where it would
only cost time there.
"""

import contextlib
import copy
import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import tiny
from hydrometer import registry
from hydrometer.engine import data, loop, program
from hydrometer.engine.data import Lens
from hydrometer.engine.loop import Job
from hydrometer.labels import shards
from hydrometer.labels.shards import LabelBank
from hydrometer.types import Spec

META = torch.device("meta")
SOURCE = tiny.source()
students = pytest.mark.parametrize("students", [1, 3])


@pytest.fixture
def blind(monkeypatch):
    """A lens of the device without data, on which autocast does not exist."""
    monkeypatch.setattr(program, "reduced", lambda device, precision: contextlib.nullcontext())
    lens = copy.copy(Lens(SOURCE, None, tiny.CPU))
    lens.device, lens.whitening = META, data.moved(lens.whitening, META)
    return lens


def softened(job):
    """The job with soft labels beside its hard ones, for losses that want them."""
    soft = torch.zeros(len(job.data), len(SOURCE.classes))
    return Job(job.trial, dataclasses.replace(job.data, soft=soft))


def steps(lens, students, count=5, **recipe):
    """Losses of some steps on images nobody can read."""
    jobs = [softened(tiny.job(SOURCE, seed=s, **recipe)) for s in range(students)]
    cohort = loop.Cohort(jobs, SOURCE, lens, ())
    taught, draws = cohort.program(), cohort.draws(0, count)
    for i, batch in zip(range(count), cohort.batches(), strict=False):
        images, target = cohort.view(batch, draws[:, i])
        losses = taught.step(images, target, cohort.rate(batch.progress))
        assert losses.device == META and losses.shape == (students,)


@students
@pytest.mark.parametrize("name", registry.names("augmentation"))
def test_no_augmentation_reads(blind, name, students):
    steps(blind, students, augment=(Spec(name),))


@students
@pytest.mark.parametrize("name", registry.names("optimiser"))
def test_no_optimiser_reads(blind, name, students):
    steps(blind, students, optimiser=Spec(name))


@students
@pytest.mark.parametrize("name", registry.names("loss"))
def test_no_loss_reads(blind, name, students):
    steps(blind, students, loss=Spec(name), labels="given")


@students
def test_no_average_reads(blind, students):
    steps(blind, students, average=0.99)


def test_no_bank_reads_what_it_has_copied(blind, monkeypatch):
    """Its labels go to the device once an epoch, and are read there."""
    card = SimpleNamespace(seed=0, epochs=2, steps=2, batch=8, classes=SOURCE.classes)
    bank = LabelBank(Path("nowhere"), SimpleNamespace(card=card))
    stored = shards.encode(torch.zeros(15, len(SOURCE.classes)), 1)
    monkeypatch.setattr(LabelBank, "_read", lambda self, epoch: stored)
    jobs = [tiny.job(SOURCE, seed=s, loss=Spec("kl"), labels="bank") for s in range(3)]
    cohort = loop.Cohort(jobs, SOURCE, blind, (), bank)
    assert {tuple(part.shape) for part in stored.values()} == {(15, 1)}
    seen = [
        cohort.view(b, cohort.draws(0, 5)[:, i])
        for i, b in zip(range(5), cohort.batches(), strict=False)
    ]
    assert all(target.soft.device == META for _, target in seen)


def test_what_is_read_would_be_noticed(blind, monkeypatch):
    monkeypatch.setattr(loop.Cohort, "_first", lambda self, batch, draws: None)
    with pytest.raises(NotImplementedError, match="meta"):
        steps(blind, 3, augment=(Spec("dsa"),))
