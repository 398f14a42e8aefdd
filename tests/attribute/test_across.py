import dataclasses

import pytest
import torch

import tiny
from hydrometer import protocols
from hydrometer.artifact.rows import from_rows
from hydrometer.attribute import words
from hydrometer.attribute.across import across
from hydrometer.execute.lab import Lab
from hydrometer.store import Store
from hydrometer.types import HydrometerError

SOURCE = tiny.source(per_class=30)
QUICK = (
    "as-dc@1{batch=16,epochs=%d,precision=float32,rates=0.05,seeds=3,"
    "student=convnet(depth=2,width=8)}"
)


def good():
    return from_rows(SOURCE, torch.arange(0, 90, 10), method="good", budget="ipc=3")


def bad():
    images = torch.zeros_like(good().images)
    return dataclasses.replace(good(), images=images, digest="bad")


def compare(tmp_path, subjects, names):
    with Store(tmp_path / "runs.sqlite") as store:
        chosen = [protocols.load(name) for name in names]
        return across(subjects, chosen, Lab(SOURCE, tiny.CPU), store)


def test_a_ranking_that_survives_has_tau_one(tmp_path):
    found = compare(tmp_path, [bad(), good()], [QUICK % 25, QUICK % 30])
    assert [len(s.arm.accuracy) for s in found.scores] == [3] * 4
    [agreement] = found.agreements
    assert agreement.tau.value == 1.0
    assert "Kendall tau 1.00" in words.across_sentences(found)[0]


def test_one_set_has_scores_but_no_ranking(tmp_path):
    found = compare(tmp_path, [good()], [QUICK % 1, QUICK % 2])
    assert len(found.scores) == 2
    assert found.agreements == ()


def test_one_protocol_is_refused(tmp_path):
    with pytest.raises(HydrometerError, match="at least two"):
        compare(tmp_path, [good()], [QUICK % 1])
