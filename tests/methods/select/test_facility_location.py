import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from hydrometer.methods.select import facility_location, similarity
from hydrometer.methods.select.facility_location import cover
from hydrometer.methods.select.similarity import cosine, tabled

POINTS = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))


def brute(table, count):
    chosen = []
    while len(chosen) < count:
        worth = np.array([table[[*chosen, i]].max(0).sum() for i in range(len(table))])
        worth[chosen] = -1
        chosen.append(int((worth >= worth.max() - 1e-9).argmax()))
    return chosen


@pytest.mark.parametrize("block", [1, 7, 64])
def test_gains_that_are_lowered_are_those_summed_anew(block, monkeypatch):
    monkeypatch.setattr(facility_location, "BLOCK", block)
    table = (1 + cosine_similarity(POINTS.double())) / 2
    assert cover(cosine(POINTS), 30, 25).tolist() == brute(table, 25)


def test_a_table_changes_nothing(monkeypatch):
    looked_up = cover(tabled(cosine(POINTS), 30), 30, 12).tolist()
    monkeypatch.setattr(similarity, "TABLE", 0)
    assert cover(tabled(cosine(POINTS), 30), 30, 12).tolist() == looked_up


def test_ties_go_to_the_lower_row():
    table = torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    assert cover(lambda batch: table[batch], 4, 4).tolist() == [0, 2, 1, 3]
