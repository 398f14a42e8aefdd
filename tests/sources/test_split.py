import pytest
import torch

from hydrometer import seeds
from hydrometer.sources.split import VAL_PERCENT, VAL_PURPOSE, held_out

LABELS = torch.arange(997) % 7


def test_every_class_gives_its_share():
    held = held_out(LABELS, 10, "val@1")
    for label in range(7):
        count = int((label == LABELS).sum())
        assert int(held[label == LABELS].sum()) == int(count * 0.1 + 0.5)


def test_agrees_with_a_naive_ranking():
    draws = seeds.uniform([seeds.key(0, "val@1")], 0, 1, 997)[0, 0].tolist()
    expected = set()
    for label in range(7):
        rows = [row for row in range(997) if row % 7 == label]
        expected |= set(sorted(rows, key=lambda row: (draws[row], row))[: round(len(rows) / 10)])
    assert set(held_out(LABELS, 10, "val@1").nonzero().flatten().tolist()) == expected


@pytest.mark.parametrize(("count", "share"), [(1, 0), (2, 1), (4, 1), (5, 1), (14, 1), (15, 2)])
def test_small_classes(count, share):
    assert int(held_out(torch.zeros(count, dtype=torch.int64), 10, "val@1").sum()) == share


def test_purposes_are_independent():
    val, test = (
        held_out(torch.zeros(10_000, dtype=torch.int64), 10, p) for p in ("val@1", "test@1")
    )
    assert 50 < int((val & test).sum()) < 150  # 100 expected, standard deviation 9


def test_the_released_rule_never_moves():
    torch.manual_seed(7)  # of no effect
    rows = held_out(LABELS, VAL_PERCENT, VAL_PURPOSE).nonzero().flatten()
    assert rows[:8].tolist() == [10, 12, 15, 29, 31, 32, 43, 65]
