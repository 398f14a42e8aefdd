import numpy as np
import pytest
import torch

import tiny
from hydrometer import registry
from hydrometer.methods.select.d2 import d2, pass_messages
from hydrometer.types import Budget, HydrometerError


def test_messages_are_those_of_loops_over_the_graph():
    rng = np.random.default_rng(0)
    points, score = rng.normal(size=(15, 3)), rng.uniform(size=15)
    apart = ((points[:, None] - points[None]) ** 2).sum(-1)
    near = np.argsort(apart + 1e9 * np.eye(15), axis=1)[:, :4]
    squared = np.take_along_axis(apart, near, 1)

    s = [score[i] + sum(np.exp(-0.7 * apart[i, j]) * score[j] for j in near[i]) for i in range(15)]
    chosen = []
    while len(chosen) < 10:
        best = max((i for i in range(15) if i not in chosen), key=lambda i: s[i])
        chosen.append(best)
        for j in near[best]:
            s[j] -= np.exp(-0.3 * apart[best, j]) * s[best]

    found = pass_messages(
        *map(torch.from_numpy, (score, squared, near)), 10, forward=0.7, reverse=0.3
    )
    assert found.tolist() == chosen


def test_a_kept_image_puts_off_its_twin():
    score = torch.tensor([1.0, 0.9, 0.5])
    near, squared = torch.tensor([[1], [0], [1]]), torch.tensor([[0.0], [0.0], [50.0]])
    found = pass_messages(score, squared, near, 3, forward=1.0, reverse=1.0)
    assert found.tolist() == [0, 2, 1]
    assert score.tolist() == [1.0, torch.tensor(0.9).item(), 0.5]


def test_equal_scores_go_by_row():
    near = torch.empty(3, 0, dtype=torch.int64)
    found = pass_messages(torch.ones(3), torch.empty(3, 0), near, 3, forward=1.0, reverse=1.0)
    assert found.tolist() == [0, 1, 2]


@pytest.mark.parametrize("score", ["el2n", "aum", "loss"])
def test_without_messages_a_named_score_is_taken_easiest_first(score):
    source, budget, rng = tiny.source(), Budget(per_class=3), np.random.default_rng(0)
    found = d2(source, budget, score=score, forward=1e9, reverse=1e9, rng=rng)
    plain = registry.get("method", score)(source, budget, policy="easy", rng=rng)
    assert found.index.tolist() == plain.index.tolist()
    assert f"score={score}" in found.card.method


def test_a_score_that_does_not_exist_is_one_sentence():
    with pytest.raises(HydrometerError, match="known: observed, aum"):
        d2(tiny.source(), Budget(per_class=1), score="best", rng=np.random.default_rng(0))
