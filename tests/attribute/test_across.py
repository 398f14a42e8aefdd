import dataclasses
from itertools import combinations

import numpy as np
import pytest
import scipy.stats
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


def test_teachers_are_trained_where_a_protocol_has_one(tmp_path, monkeypatch):
    """With an empty cache, several sets and protocols; each pair of protocols has its tau."""
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path))
    small = "epochs=1,seeds=2,student=convnet(depth=1,norm=batch,width=4)"
    teacher = "teacher.epochs=20,teacher.least_steps=0"
    names = [f"{by}-quick@1{{{small},{teacher}}}" for by in ("rd3", "as-edc", "as-rded")]
    third = from_rows(SOURCE, torch.arange(1, 90, 10), method="third", budget="ipc=3")
    found = compare(tmp_path, [bad(), good(), third], names)
    assert len(found.scores) == 9
    assert [a.protocols for a in found.agreements] == list(combinations(names, 2))
    for agreement in found.agreements:
        first, second = (
            [np.mean(s.arm.accuracy) for s in found.scores if s.protocol == name]
            for name in agreement.protocols
        )
        oracle = scipy.stats.kendalltau(first, second).statistic
        assert agreement.tau.value == pytest.approx(np.nan_to_num(oracle))


def test_one_set_has_scores_but_no_ranking(tmp_path):
    found = compare(tmp_path, [good()], [QUICK % 1, QUICK % 2])
    assert len(found.scores) == 2
    assert found.agreements == ()


def test_one_protocol_is_refused(tmp_path):
    with pytest.raises(HydrometerError, match="at least two"):
        compare(tmp_path, [good()], [QUICK % 1])
