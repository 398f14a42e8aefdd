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
        worth = [-1 if i in chosen else table[[*chosen, i]].max(0).sum() for i in range(len(table))]
        chosen.append(worth.index(max(worth)))
    return chosen


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_lazy_greedy_is_greedy(batch, monkeypatch):
    monkeypatch.setattr(facility_location, "BATCH", batch)
    table = (1 + cosine_similarity(POINTS)) / 2
    assert cover(cosine(POINTS), 30, 12).tolist() == brute(table, 12)


def test_a_table_changes_nothing(monkeypatch):
    looked_up = cover(tabled(cosine(POINTS), 30), 30, 12).tolist()
    monkeypatch.setattr(similarity, "TABLE", 0)
    assert cover(tabled(cosine(POINTS), 30), 30, 12).tolist() == looked_up


def test_ties_go_to_the_lower_row():
    table = torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    assert cover(lambda batch: table[batch], 4, 4).tolist() == [0, 2, 1, 3]
