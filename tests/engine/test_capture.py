"""Recorded gradients: what a replay gives, when it is not trusted, and that training cannot tell.

There is no accelerator here; a recorder that runs the computation again on the recording's own tensors
stands in for one, as a CUDA graph does that.
"""

import dataclasses

import pytest
import torch

import tiny
from hydrometer import registry
from hydrometer.engine import capture, loop, program
from hydrometer.engine.capture import MOST, Captured
from hydrometer.engine.loop import Cohort, Job
from hydrometer.engine.objective import Target
from hydrometer.types import Spec

SOURCE = tiny.source()
BATCH_NORM = Spec("convnet", (("depth", 2), ("norm", "batch"), ("width", 8)))
students = pytest.mark.parametrize("students", [1, 3])


class Recorder:
    """Replays by computing again, into the tensors that the recording filled, and counts replays."""

    def __init__(self, spoil=lambda made: None):
        self.recorded = self.replayed = 0
        self.spoil = spoil

    def __call__(self, compute):
        self.recorded += 1
        losses, grads = compute()

        def replay():
            self.replayed += 1
            again = compute()
            self.spoil(again)
            for old, new in zip((losses, *grads), (again[0], *again[1]), strict=True):
                old.copy_(new)

        return replay, (losses, grads)


@pytest.fixture
def recorder(monkeypatch):
    made = Recorder()
    monkeypatch.setattr(capture, "recorder", lambda device: made)
    return made


def trained(students, **recipe):
    """Losses and final parameters of a cohort whose epochs end with a smaller batch."""
    jobs = []
    for seed in range(students):
        job = tiny.job(SOURCE, seed=seed, epochs=4, **recipe)
        soft = torch.randn(
            len(job.data), len(SOURCE.classes), generator=torch.Generator().manual_seed(9)
        )
        jobs.append(Job(job.trial, dataclasses.replace(job.data, soft=soft)))
    lens, _ = tiny.lens_and_exams(SOURCE)
    taught, losses = loop.train(Cohort(jobs, SOURCE, lens, ()))
    answers = taught.logits(SOURCE.test.images[:8].float())
    return losses, answers


KINDS = {
    "plain": {},
    "batch norm": {"student": BATCH_NORM},
    "mixed images": {"augment": (Spec("cutmix"),)},
    "soft labels": {"loss": Spec("kl"), "labels": "given"},
    "average": {"average": 0.9},
    **{f"optimiser {name}": {"optimiser": Spec(name)} for name in registry.names("optimiser")},
}


@students
@pytest.mark.parametrize("kind", KINDS)
def test_training_cannot_tell(monkeypatch, kind, students):
    wanted = trained(students, **KINDS[kind])
    made = Recorder()
    monkeypatch.setattr(capture, "recorder", lambda device: made)
    found = trained(students, **KINDS[kind])
    # Two layouts, whole batches and the smaller last ones: all but their first are replayed.
    assert made.recorded == 2 and made.replayed >= 8
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def double(made):
    for grad in made[1]:
        grad.mul_(2)


def nothing_is_a_number(made):
    made[0].fill_(float("nan"))


@students
@pytest.mark.parametrize("spoil", [double, nothing_is_a_number])
def test_a_replay_that_gives_something_else_is_not_taken(monkeypatch, students, spoil):
    wanted = trained(students, student=BATCH_NORM)
    made = Recorder(spoil)
    monkeypatch.setattr(capture, "recorder", lambda device: made)
    found = trained(students, student=BATCH_NORM)
    assert made.replayed == 2
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("error", [RuntimeError("not permitted"), torch.OutOfMemoryError()])
def test_a_device_that_refuses_leaves_training_as_it_was(monkeypatch, error):
    def refuse(compute):
        compute()
        raise error

    wanted = trained(3, student=BATCH_NORM)
    monkeypatch.setattr(capture, "recorder", lambda device: refuse)
    found = trained(3, student=BATCH_NORM)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_students_that_draw_are_not_recorded(recorder):
    """A replay would draw what was drawn before."""
    drawing = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    assert program.captured(drawing, [], tiny.CPU).record is None
    assert program.captured(drawing[0], [], tiny.CPU).record is recorder


def halves(images, target):
    return images.sum((1, 2)), [images.sum(1), target.labels.float()]


def test_what_a_replay_gave_outlives_the_next():
    computing = Captured([], Recorder())
    given = [(torch.full((2, 3, 4), float(i)), Target(torch.full((2, 3), i))) for i in range(4)]
    found = [computing(halves, *one) for one in given]
    for one, made in zip(given, found, strict=True):
        wanted = halves(*one)
        torch.testing.assert_close(made[0], wanted[0])
        torch.testing.assert_close(list(made[1]), wanted[1])


def test_few_layouts_are_recorded():
    made = Recorder()
    computing = Captured([], made)
    for size in range(1, MOST + 4):
        for _ in range(2):
            computing(halves, torch.ones(2, size, 4), Target(torch.ones(2, size)))
    assert made.recorded == MOST and len(computing.recordings) == MOST


def test_nothing_records_on_a_processor_or_where_it_is_not_wanted(monkeypatch):
    assert capture.recorder(tiny.CPU) is None
    device = torch.device("cuda")
    assert capture.recorder(device) is not None
    with capture.eagerly():
        assert capture.recorder(device) is None
    assert capture.recorder(device) is not None
    monkeypatch.setenv("HYDROMETER_EAGER", "1")
    assert capture.recorder(device) is None
