import dataclasses

import pytest
import torch

import tiny
from hydrometer import sources
from hydrometer.artifact.rows import whole
from hydrometer.engine import teachers
from hydrometer.execute import worker
from hydrometer.execute.lab import Lab
from hydrometer.types import Card, HydrometerError

SOURCE = tiny.source()


@pytest.fixture
def digits():
    return Lab(sources.load("digits"), tiny.CPU)


def never():
    raise AssertionError("the source was asked for again")


def test_a_source_that_was_sent_is_kept():
    mine = worker.Worker()
    wanted = worker.setting(Lab(SOURCE, tiny.CPU), "cpu")
    lab = mine.prepare(wanted, lambda: SOURCE)
    assert lab.source is SOURCE
    assert mine.prepare(wanted, never) is lab


def test_a_source_too_large_to_send_is_opened_by_name(digits, monkeypatch):
    assert worker.travels(digits.source)
    monkeypatch.setattr(worker, "SHIPPED_BYTES", 0)
    assert not worker.travels(digits.source)
    found = worker.Worker().prepare(worker.setting(digits, "cpu"), lambda: None)
    assert found.source.digest == digits.source.digest


def test_other_files_under_the_same_name_are_refused(digits):
    other = dataclasses.replace(worker.setting(digits, "cpu"), digest="another")
    with pytest.raises(HydrometerError, match="give all machines the same files"):
        worker.Worker().prepare(other, lambda: None)


def test_all_of_train_travels_as_its_card():
    lab, parcels = Lab(SOURCE, tiny.CPU), worker.Parcels(SOURCE)
    everything, some = tiny.job(SOURCE, rows=range(60)), tiny.job(SOURCE)
    backwards = tiny.job(SOURCE, rows=range(59, -1, -1))
    assert [parcels.light(j.data) for j in (everything, some, backwards)] == [True, False, False]
    arrived = worker.unpacked(everything.trial, everything.data.card, lab)
    assert isinstance(everything.data.card, Card)
    assert arrived.data.digest == whole(SOURCE).digest == everything.data.digest
    assert arrived.data.card == everything.data.card


def test_a_teacher_travels(monkeypatch, tmp_path):
    lab, job = Lab(SOURCE, tiny.CPU), tiny.job(SOURCE, epochs=30)
    name = lab.teach(job.trial, job.data).card.digest
    content = teachers.packed(name)
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path))
    assert not teachers.known(name)
    worker.Worker().learn({name: lambda: content})
    there = teachers.recall(name, SOURCE, lab.lens(None))
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(there.model(images), lab.teachers([name], lab.lens(None))[0](images))
    worker.Worker().learn({name: never})
