import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from hydrometer.methods.select import neighbours
from hydrometer.methods.select.neighbours import nearest


def test_neighbours_are_those_of_sklearn_in_every_block_size(monkeypatch):
    points = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)) + 100
    apart, rows = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(points).kneighbors()
    for block in (1, 120, 10_000):
        monkeypatch.setattr(neighbours, "BLOCK", block)
        squared, near = nearest(points, 4)
        np.testing.assert_array_equal(near, rows)
        np.testing.assert_allclose(squared, apart**2, rtol=1e-3)


def test_an_image_is_never_its_own_neighbour():
    _, near = nearest(torch.ones(5, 2), 9)
    assert [sorted(row) for row in near.tolist()] == [
        [j for j in range(5) if j != i] for i in range(5)
    ]
    assert nearest(torch.ones(1, 2), 3)[1].shape == (1, 0)
