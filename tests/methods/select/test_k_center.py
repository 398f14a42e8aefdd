import torch
from scipy.spatial.distance import cdist

from hydrometer.methods.select.k_center import distances, farthest_first


def order(points, count):
    start = distances(points, points.mean(0, keepdim=True))
    return farthest_first(lambda i: distances(points, points[i : i + 1]), start, count).tolist()


def brute(points, count):
    chosen = [int(cdist(points, points.mean(0, keepdims=True))[:, 0].argmin())]
    while len(chosen) < count:
        gaps = [
            -1 if i in chosen else min(float(((p - points[c]) ** 2).sum()) for c in chosen)
            for i, p in enumerate(points)
        ]
        chosen.append(gaps.index(max(gaps)))
    return chosen


def test_order_is_that_of_a_search_over_all_pairs():
    points = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    assert order(points, 40) == brute(points.double().numpy(), 40)


def test_covering_radius_is_within_twice_the_best():
    points = torch.randn(9, 2, generator=torch.Generator().manual_seed(1))
    apart = cdist(points, points)
    best = min(
        apart[:, [a, b, c]].min(1).max() for a in range(9) for b in range(a) for c in range(b)
    )
    assert apart[:, order(points, 3)].min(1).max() <= 2 * best


def test_equal_points_go_by_row_and_after_all_others():
    points = torch.tensor([[0.1], [0.1], [0.1], [9.0], [9.0]])
    assert order(points, 5) == [0, 3, 1, 2, 4]
    assert order(torch.ones(4, 3), 4) == [0, 1, 2, 3]
