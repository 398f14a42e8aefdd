import dataclasses

import pytest
import torch

import tiny
from hydrometer import digest
from hydrometer.engine import calibration, loop, timing
from hydrometer.engine.calibration import Calibration, Contest, Timed
from hydrometer.engine.choice import DEFAULT, Choice
from hydrometer.execute import Manner, Silent, pace, serial
from hydrometer.execute.lab import Lab, Pace
from hydrometer.execute.worker import Worker, setting
from hydrometer.store import Store
from hydrometer.types import Spec

SOURCE = tiny.source()
LAST = Choice(layout="channels-last")


class Listening(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def stub(monkeypatch, fits=99, step=0.5, exam=2.0):
    """`timing.measure` as if every student of a cohort took so long, and memory held so many."""
    asked = []

    def measure(jobs, source, lens, teachers, *rest):
        asked.append((len(jobs), len(teachers)))
        if len(jobs) > fits:
            raise torch.OutOfMemoryError("no")
        return step * len(jobs), exam * len(jobs)

    monkeypatch.setattr(timing, "measure", measure)
    return asked


def test_a_forecast_spreads_cohorts_over_devices(monkeypatch):
    monkeypatch.setattr(pace, "paced", lambda cohort, lab, coming: Pace(float(len(cohort)), 0.0))
    lab = Lab(SOURCE, tiny.CPU)
    lab.device = torch.device("cuda")
    jobs = [tiny.job(SOURCE, seed=s) for s in range(6)]
    each = {devices: pace.forecast(jobs, lab, devices) for devices in (1, 3)}
    assert [len(each[1]), len(each[3])] == [1, 3]
    assert pace.wall(jobs, lab, Manner(None, 3)) == pace.wall(jobs, lab, Manner()) / 3


def test_a_forecast_multiplies_steps_and_adds_exams(monkeypatch):
    asked = stub(monkeypatch)
    jobs = [tiny.job(SOURCE, seed=s, epochs=e) for s, e in ((0, 2), (1, 2), (0, 5))]
    found = pace.forecast(jobs, Lab(SOURCE, tiny.CPU))
    assert [seconds for _, seconds in found] == [4 * 0.5 + 2, 4 * 0.5 + 2, 10 * 0.5 + 2]
    assert asked == [(1, 0)]


def test_a_cohort_too_large_for_memory_is_forecast_by_its_half(monkeypatch):
    asked = stub(monkeypatch, fits=2)
    monkeypatch.setattr(pace, "cohorts", lambda jobs, *rest: [list(jobs)])
    jobs = [tiny.job(SOURCE, seed=s, epochs=2) for s in range(4)]
    ((first, seconds),) = pace.forecast(jobs, Lab(SOURCE, tiny.CPU))
    assert first is jobs[0]
    assert asked == [(4, 0), (2, 0)]
    assert seconds == 4 * 2.0 + 8


def test_a_teacher_that_is_not_trained_yet_counts(monkeypatch):
    asked = stub(monkeypatch)
    teacher = tiny.job(SOURCE, epochs=3)
    name = digest.of_trial(teacher.trial)
    taught = tiny.job(SOURCE, labels="teacher", loss=Spec("kl"), teacher=(name,))
    pace.forecast([taught, teacher], Lab(SOURCE, tiny.CPU))
    pace.forecast([taught], Lab(SOURCE, tiny.CPU))
    assert asked == [(1, 1), (1, 0), (1, 0)]


def test_teachers_come_before_students_side_by_side(monkeypatch):
    asked = stub(monkeypatch)
    teacher = tiny.job(SOURCE, epochs=3)
    name = digest.of_trial(teacher.trial)
    taught = [
        tiny.job(SOURCE, seed=s, labels="teacher", loss=Spec("kl"), teacher=(name,), epochs=2)
        for s in range(4)
    ]
    found = pace.wall(taught, Lab(SOURCE, tiny.CPU), Manner(threads=1, abreast=2), [teacher])
    assert found == (6 * 0.5 + 2) + 2 * (4 * 0.5 + 2)
    assert asked == [(1, 1), (1, 0)]


def test_measuring_takes_real_steps_with_their_teacher():
    name = digest.of_trial(tiny.job(SOURCE).trial)
    taught = tiny.job(SOURCE, labels="teacher", loss=Spec("kl"), teacher=(name,), epochs=1)
    lens, asked = tiny.lens_and_exams(SOURCE)[0], []

    def teacher(images):
        asked.append(len(images))
        return images.flatten(1)[:, :3]

    step, exam = timing.measure([taught, taught], SOURCE, lens, [teacher])
    assert min(step, exam) > 0
    assert asked == [16, 14, 16]


def calibrated(choice):
    def measure(work, known=None, *, compiled=False):
        timed = Timed(choice=choice, seconds=(0.1,))
        return Calibration(work=work, images=1, contests=(Contest(axis="layout", timed=(timed,)),))

    return measure


@pytest.fixture
def long(monkeypatch, tmp_path):
    """Every student takes long enough, and the cache is empty."""
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "calibrate", calibrated(LAST))
    stub(monkeypatch, step=pace.WORTH / 10)


def test_long_work_is_calibrated_once_and_then_recalled(long, monkeypatch):
    job, first, observer = tiny.job(SOURCE), Lab(SOURCE, tiny.CPU), Listening()
    assert first.choice(job) == DEFAULT
    pace.tune([job], first, observer)
    assert first.choice(job) == LAST
    assert "channels-last" in observer.said[-1]
    monkeypatch.setattr(calibration, "calibrate", None)
    second = Lab(SOURCE, tiny.CPU)
    pace.tune([job], second, Silent())
    assert second.choice(job) == LAST
    assert second.choice(tiny.job(SOURCE, batch=4)) == DEFAULT


def test_short_work_is_not_calibrated(long, monkeypatch):
    stub(monkeypatch, step=pace.WORTH / 1e3)
    lab = Lab(SOURCE, tiny.CPU)
    pace.tune([tiny.job(SOURCE)], lab, Silent())
    assert lab.choices == {}


def test_a_busy_machine_trains_as_ever(long, monkeypatch):
    monkeypatch.setattr(calibration, "calibrate", lambda *a, **k: None)
    lab, observer = Lab(SOURCE, tiny.CPU), Listening()
    pace.tune([tiny.job(SOURCE)], lab, observer)
    assert lab.choices == {}
    assert "disturb" in observer.said[-1]
    assert calibration.book().calibrations == ()


def test_a_row_says_how_its_steps_were_taken(tmp_path, monkeypatch):
    job, chosen = tiny.job(SOURCE), LAST.model_copy(update={"threads": 1})
    rows, real, asked = [], loop.run, []

    def listening(*words):
        asked.append(words[-1].keywords["choice"])
        return real(*words)

    monkeypatch.setattr(loop, "run", listening)
    for choice in (DEFAULT, chosen):
        lab = Lab(SOURCE, tiny.CPU)
        if choice != DEFAULT:
            lab.choices[lab.work(job)] = choice
        with Store(tmp_path / f"{len(rows)}.sqlite") as store:
            (run,) = serial.execute([job], lab, store, Silent()).values()
        rows.append(run)
    assert asked == [DEFAULT, chosen]
    usual, other = rows
    assert other.environment.device == f"{usual.environment.device}; channels-last, 1 threads"
    assert other.environment.threads == 1
    assert other.test_hits == usual.test_hits
    assert other.key == usual.key


def test_choices_travel_to_workers():
    job, lab = tiny.job(SOURCE), Lab(SOURCE, tiny.CPU)
    lab.choices[lab.work(job)] = LAST
    sent = setting(lab, "cpu")
    assert Worker().prepare(sent, lambda: SOURCE).choice(job) == LAST
    plain = dataclasses.replace(sent, choices=())
    assert Worker().prepare(plain, lambda: SOURCE).choice(job) == DEFAULT
