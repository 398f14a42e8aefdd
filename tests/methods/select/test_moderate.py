import numpy as np
import torch

from hydrometer.methods.select.moderate import distances_to_centre, median


def test_median_is_that_of_numpy_for_odd_and_even():
    points = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    for n in (1, 2, 8, 9):
        np.testing.assert_allclose(median(points[:n]), np.median(points[:n], 0), rtol=1e-6)


def test_distances_are_to_the_median_of_the_own_class():
    generator = torch.Generator().manual_seed(1)
    points, labels = torch.randn(20, 3, generator=generator), torch.arange(20) % 3
    expected = [
        np.linalg.norm(p - np.median(points[labels == y], 0))
        for p, y in zip(points.numpy(), labels, strict=True)
    ]
    np.testing.assert_allclose(distances_to_centre(points, labels), expected, rtol=1e-5)
