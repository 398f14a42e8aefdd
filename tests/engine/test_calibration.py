import os
import warnings

import pytest
import torch

import tiny
from hydrometer.engine import calibration, load, loop
from hydrometer.engine.calibration import CLEAR, Book, Calibration, Contest, Timed, Work
from hydrometer.engine.choice import DEFAULT, Choice
from hydrometer.engine.load import Others
from hydrometer.engine.program import Solo
from hydrometer.types import Spec

SOURCE = tiny.source()
LENS, EXAMS = tiny.lens_and_exams(SOURCE)
WORK = Work(
    student="convnet(depth=2,norm=instance,width=8)",
    precision="float32",
    shape=(1, 8, 8),
    batch=300,
)
LAST = Choice(layout="channels-last")
COMPILED = Choice(layout="channels-last", compiled=True)


@pytest.fixture
def quiet(monkeypatch, tmp_path):
    """A machine that nobody else uses, with an empty cache."""
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path))
    monkeypatch.setattr(Others, "disturb", lambda self, threads: False)


def planted(monkeypatch, milliseconds):
    """Every candidate takes what its words say, or 10 ms."""
    asked = []

    def time(self, choices, rounds=calibration.ROUNDS):
        asked.extend(choices)
        each = [milliseconds.get(str(choice), 10.0) for choice in choices]
        return tuple(
            Timed(choice=c, seconds=(ms / 1e3,) * rounds)
            for c, ms in zip(choices, each, strict=True)
        )

    monkeypatch.setattr(calibration._Bench, "time", time)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    return asked


def contest(*seconds):
    choices = (DEFAULT, LAST, Choice(threads=1))
    timed = (Timed(choice=c, seconds=s) for c, s in zip(choices, seconds, strict=False))
    return Contest(axis="any", timed=tuple(timed)).winner.choice


def test_only_a_clear_gain_in_every_round_counts():
    slow = (1.0, 2.0, 1.0)
    assert contest(slow) == DEFAULT
    assert contest(slow, (0.8, 1.5, 0.8)) == LAST
    assert contest(slow, (0.8, 1.5, 0.95)) == DEFAULT
    assert contest(slow, tuple(s / CLEAR for s in slow)) == DEFAULT
    assert contest(slow, (0.8, 1.5, 0.8), (0.7, 1.7, 0.7)) == Choice(threads=1)
    assert contest(slow, (0.8, 1.5, 0.8), (0.1, 0.1, 1.0)) == LAST


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("choice", [LAST, Choice(threads=1), Choice(part=3)], ids=str)
def test_a_choice_is_invisible_in_the_results(norm, choice):
    """The same losses and logits as by default, within the tolerance that cohorts have."""
    student = Spec("convnet", (("depth", 2), ("norm", norm), ("width", 8)))
    _check_same([tiny.job(SOURCE, student=student, augment=(Spec("dsa"),))], choice)


@pytest.mark.slow
def test_a_compiled_student_is_the_same():
    if not calibration.can_compile():
        pytest.skip("torch.compile needs a C++ compiler, and there is none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _check_same([tiny.job(SOURCE)], COMPILED)


def _check_same(jobs, choice):
    found = []
    for one in (DEFAULT, choice):

        def alone(*words, one=one):
            return Solo(*words, choice=one)

        with one.applied():
            cohort = loop.Cohort(jobs, SOURCE, LENS, (), alone=alone)
            program, losses = loop.train(cohort)
            found.append((losses, program.logits(EXAMS[1].images)))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=5e-3, atol=5e-3)


def test_a_choice_reaches_kernels_images_and_threads():
    cohort = loop.Cohort([tiny.job(SOURCE)], SOURCE, LENS, ())
    model = cohort.program().model
    seen = []
    hook = model.convolutions[1].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    program = Solo(model, cohort.recipe, lambda *a: a[0].sum(-1), tiny.CPU, LAST)
    assert program.params[2].is_contiguous(memory_format=torch.channels_last)
    program.step(*cohort.view(next(cohort.batches()), cohort.draws(0, 1)[:, 0]), [0.0])
    hook.remove()
    assert not seen[0].is_contiguous()
    before = torch.get_num_threads()
    with Choice(threads=1).applied():
        assert torch.get_num_threads() == 1
    with Choice(threads=before + 7).applied():
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


def test_each_axis_starts_from_what_won_before(quiet, monkeypatch):
    best = "channels-last, parts of 64"
    asked = planted(monkeypatch, {"channels-last": 8.0, "2 threads": 5.0, best: 6.0})
    found = calibration.calibrate(WORK)
    assert str(found.choice) == best
    assert [c.axis for c in found.contests] == ["layout", "threads", "part"]
    assert "channels-last, 2 threads" in map(str, asked)
    assert not any(choice.compiled for choice in asked)


def test_compiling_is_measured_only_when_asked_for_and_then_alone(quiet, monkeypatch):
    monkeypatch.setattr(calibration, "can_compile", lambda: True)
    asked = planted(monkeypatch, {"compiled": 6.0})
    first = calibration.calibrate(WORK)
    asked.clear()
    second = calibration.calibrate(WORK, first, compiled=True)
    assert {str(c) for c in asked} == {"default", "compiled", "channels-last, compiled"}
    assert str(second.choice) == "compiled"
    assert second.contests[:-1] == first.contests


def test_a_student_that_cannot_be_compiled_is_left_out(quiet, monkeypatch):
    def refuse(model):
        raise RuntimeError("no compiler")

    def compiler(model):
        return lambda images: refuse(model)

    monkeypatch.setattr(torch, "compile", compiler)
    monkeypatch.setattr(calibration, "can_compile", lambda: True)
    work = WORK.model_copy(update={"batch": 4})
    found = calibration.calibrate(work, compiled=True)
    assert found.tried("compiled")
    assert len(found.contests[-1].timed) == 1
    assert not found.choice.compiled


def test_parts_are_no_choice_where_images_mix(quiet, monkeypatch):
    asked = planted(monkeypatch, {})
    calibration.calibrate(
        WORK.model_copy(update={"student": WORK.student.replace("instance", "batch")})
    )
    assert {choice.part for choice in asked} == {DEFAULT.part}


def test_nothing_is_learnt_on_a_busy_machine(quiet, monkeypatch):
    planted(monkeypatch, {"channels-last": 1.0})
    monkeypatch.setattr(Others, "disturb", lambda self, threads: True)
    assert calibration.calibrate(WORK) is None


def test_others_are_told_from_this_process(monkeypatch):
    """By hand: 10 s of wall time, 12 s of work in all, 8 of them ours, on 2 processors."""
    moments = iter([(0.0, 0.0, 0.0), (10.0, 8.0, 12.0), (10.0, 8.0, 12.0), (10.0, 8.0, 12.0)])

    def moment(self):
        self.wall, self.own, self.all = next(moments)

    monkeypatch.setattr(load._Moment, "__init__", moment)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    others = Others()
    assert others.processors() == pytest.approx(0.4)
    assert others.disturb(threads=2)
    assert not others.disturb(threads=1)


def test_where_nobody_can_tell_nothing_is_trusted(monkeypatch):
    monkeypatch.setattr(load, "_all_work", lambda: None)
    assert Others().processors() is None
    assert Others().disturb(1)


def test_a_book_is_of_one_machine_and_survives_damage(quiet, monkeypatch):
    one = Calibration(work=WORK, images=4)
    other = one.model_copy(update={"work": WORK.model_copy(update={"batch": 9}), "images": 9})
    calibration.keep(one)
    calibration.keep(other)
    calibration.keep(one.model_copy(update={"images": 5}))
    book = calibration.book()
    assert (book.find(WORK).images, book.find(other.work).images) == (5, 9)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(calibration, "machine", lambda: "another processor")
        assert calibration.book() == Book(machine="another processor")
    calibration._path().write_text("{")
    assert calibration.book().calibrations == ()


def test_a_book_that_cannot_be_written_stops_nothing(monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", f"{os.devnull}/cache")
    calibration.keep(Calibration(work=WORK, images=4))
    assert calibration.book().calibrations == ()
