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
from hydrometer.engine.capture import MOST, Captured, near
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
    # Two layouts, whole batches and the smaller last ones: each is recorded, checked, and replayed.
    assert made.recorded == 2 and made.replayed >= 6
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


class Idle(Recorder):
    """Its replay does nothing, as if work had gone another way than the recording's."""

    def __call__(self, compute):
        self.recorded += 1
        return lambda: None, compute()


class Stuck(Recorder):
    """Its replay gives what the recorded batch gave, whatever stands in the inputs."""

    def __call__(self, compute):
        self.recorded += 1
        losses, grads = compute()
        kept = [tensor.clone() for tensor in (losses, *grads)]

        def replay():
            for old, new in zip((losses, *grads), kept, strict=True):
                old.copy_(new)

        return replay, (losses, grads)


def double(made):
    for grad in made[1]:
        grad.mul_(2)


def nothing_is_a_number(made):
    made[0].fill_(float("nan"))


@students
@pytest.mark.parametrize(
    "made",
    [Recorder(double), Recorder(nothing_is_a_number), Idle(), Stuck()],
    ids=["double", "nan", "idle", "stuck"],
)
def test_a_replay_that_gives_something_else_is_not_taken(monkeypatch, students, made):
    wanted = trained(students, student=BATCH_NORM)
    before = made.recorded
    monkeypatch.setattr(capture, "recorder", lambda device: made)
    with pytest.warns(UserWarning, match="other gradients"):
        found = trained(students, student=BATCH_NORM)
    assert made.recorded == before + 2
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_replay_that_moves_no_running_statistics_is_not_taken(monkeypatch):
    """Without batch norm's momentum nothing else tells."""

    class Still(Recorder):
        def __call__(self, compute):
            replay, made = super().__call__(compute)

            def only_gradients():
                before = [b.clone() for b in holder[0].captured.moved]
                replay()
                for buffer, value in zip(holder[0].captured.moved, before, strict=True):
                    buffer.copy_(value)

            return only_gradients, made

    holder = []
    wanted = trained(1, student=BATCH_NORM)
    monkeypatch.setattr(capture, "recorder", lambda device: Still())
    start = program.Solo.__init__
    monkeypatch.setattr(
        program.Solo,
        "__init__",
        lambda self, *a, **k: (start(self, *a, **k), holder.append(self))[0],
    )
    with pytest.warns(UserWarning, match="other gradients"):
        found = trained(1, student=BATCH_NORM)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_recordings_are_given_up_where_memory_is_needed():
    made = Recorder()
    computing = Captured([], made)
    batch = (torch.ones(2, 3, 4), Target(torch.ones(2, 3)))
    for _ in range(3):
        computing(halves, *batch)
    failures = [torch.OutOfMemoryError()]

    def tight():
        if failures:
            raise failures.pop()
        return "done"

    assert any(computing.recordings.values())
    assert computing.with_room(tight) == "done" and not computing.recordings
    computing(halves, *batch)
    assert made.recorded == 1
    failures.append(torch.OutOfMemoryError())
    with pytest.raises(torch.OutOfMemoryError):
        computing.with_room(tight)


def test_rounding_is_near_and_what_diverged_must_agree():
    nan = float("nan")
    large, noise = torch.tensor([3.0, 4.0]), torch.tensor([1e-8, -2e-8])
    assert near([large * (1 + 1e-4), -noise], [large, noise])
    assert not near([large * 1.01, noise], [large, noise])
    assert not near([large, torch.tensor([0.1, 0.0])], [large, noise])
    assert near([torch.tensor([nan, 1.0])], [torch.tensor([nan, 1.0])])
    assert not near([torch.tensor([1.0, 1.0])], [torch.tensor([nan, 1.0])])
    assert not near([torch.tensor([nan, 1.0])], [torch.tensor([1.0, 1.0])])
    assert near([], [])


@pytest.mark.parametrize("error", [RuntimeError("not permitted"), torch.OutOfMemoryError()])
def test_a_device_that_refuses_leaves_training_as_it_was(monkeypatch, error):
    def refuse(compute):
        compute()
        raise error

    wanted = trained(3, student=BATCH_NORM)
    monkeypatch.setattr(capture, "recorder", lambda device: refuse)
    with pytest.warns(UserWarning, match="cannot be recorded"):
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


def test_a_replay_that_does_nothing_is_noticed_on_one_batch_over_and_over():
    """As in warm-up from a rate of 0, where nothing changes from step to step."""
    computing = Captured([], Idle())
    batch = (torch.ones(2, 3, 4), Target(torch.ones(2, 3)))
    computing(halves, *batch)
    with pytest.warns(UserWarning, match="other gradients"):
        computing(halves, *batch)


@students
def test_recordings_make_room_for_exams(monkeypatch, students, recorder):
    jobs = [tiny.job(SOURCE, seed=s, epochs=2) for s in range(students)]
    lens, _ = tiny.lens_and_exams(SOURCE)
    taught, _ = loop.train(Cohort(jobs, SOURCE, lens, ()))
    images = SOURCE.test.images[:8].float()
    wanted, called, call = taught.logits(images), [], program.functional_call

    def tight(*words):
        called.append(words)
        if len(called) == 1:
            raise torch.OutOfMemoryError
        return call(*words)

    monkeypatch.setattr(program, "functional_call", tight)
    assert taught.captured.recordings
    torch.testing.assert_close(taught.logits(images), wanted, rtol=0, atol=0)
    assert not taught.captured.recordings


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
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    assert capture.recorder(device) is not None
    with capture.eagerly():
        assert capture.recorder(device) is None
    assert capture.recorder(device) is not None
    monkeypatch.setattr(capture, "_failed", True)
    assert capture.recorder(device) is None
    monkeypatch.setattr(capture, "_failed", False)
    for value, records in (("1", False), ("0", True), ("", True)):
        monkeypatch.setenv("HYDROMETER_EAGER", value)
        assert (capture.recorder(device) is not None) == records
