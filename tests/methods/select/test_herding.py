import numpy as np
import torch

from hydrometer.methods.select.herding import follow_mean

POINTS = torch.randn(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_order_is_that_of_the_definition():
    points, chosen = POINTS.numpy(), []
    for k in range(1, 31):
        rest = [i for i in range(30) if i not in chosen]
        goal = k * points.mean(0) - points[chosen].sum(0)
        chosen.append(min(rest, key=lambda i: float(np.linalg.norm(goal - points[i]))))
        assert follow_mean(POINTS, k).tolist() == chosen


def test_twins_go_by_position():
    assert follow_mean(torch.ones(4, 3), 4).tolist() == [0, 1, 2, 3]
