import numpy as np
import torch
from sklearn.metrics.pairwise import cosine_similarity

from hydrometer.methods.select.log_det import span
from hydrometer.methods.select.similarity import cosine

POINTS = torch.randn(20, 6, generator=torch.Generator().manual_seed(0)).double()
ONES = torch.ones(20, dtype=torch.float64)


def test_every_choice_raises_the_determinant_most():
    kernel = (1 + cosine_similarity(POINTS)) / 2 + 1e-3 * np.eye(20)
    chosen = [0]
    while len(chosen) < 12:
        left = [i for i in range(20) if i not in chosen]
        chosen.append(
            max(
                left, key=lambda i: np.linalg.slogdet(kernel[np.ix_([*chosen, i], [*chosen, i])])[1]
            )
        )
    assert span(cosine(POINTS), ONES, 12, 1e-3).tolist() == chosen


def test_duplicates_come_after_all_that_is_new():
    points = POINTS[[0, 0, 1, 1, 2]]
    order = span(cosine(points), ONES[:5], 5, 1e-4).tolist()
    assert sorted(order[:3]) == [0, 2, 4]
    assert sorted(order) == list(range(5))
