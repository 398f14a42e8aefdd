import numpy as np
import torch
from scipy.optimize import minimize

from hydrometer.methods.select.deepfool import boundary_distances

GENERATOR = torch.Generator().manual_seed(0)
WEIGHTS = torch.randn(3, 4, generator=GENERATOR).double()
BIAS = torch.randn(3, generator=GENERATOR).double()


def test_distance_is_that_of_the_shortest_step_to_another_class():
    features = torch.randn(5, 4, generator=GENERATOR).double()
    logits = features @ WEIGHTS.T + BIAS
    shortest = []
    for z in logits:
        top = int(z.argmax())
        steps = [
            minimize(
                lambda r: r @ r,
                np.full(4, 0.1),
                constraints={
                    "type": "eq",
                    "fun": lambda r, z=z, top=top, c=other: (
                        float(z[c] - z[top]) + (WEIGHTS[c] - WEIGHTS[top]).numpy() @ r
                    ),
                },
                options={"ftol": 1e-14},
            ).fun
            for other in range(3)
            if other != top
        ]
        shortest.append(min(steps) ** 0.5)
    np.testing.assert_allclose(boundary_distances(logits, WEIGHTS), shortest, rtol=1e-5)


def test_classes_that_share_weights_have_no_boundary():
    weights = torch.tensor([[1.0], [1.0], [-1.0]])
    found = boundary_distances(torch.tensor([[4.0, 3.0, 0.0]]), weights)
    assert found.tolist() == [2]
    assert boundary_distances(torch.ones(2, 1), torch.ones(1, 1)).tolist() == [0, 0]
