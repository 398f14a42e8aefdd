from itertools import combinations

import numpy as np
import torch
from scipy.optimize import minimize, nnls

from hydrometer.methods.select.gradmatch import FLOOR, fit, positive, pursue
from hydrometer.methods.select.last_layer import gradients

GENERATOR = torch.Generator().manual_seed(0)
OWN = gradients(
    torch.randn(25, 6, generator=GENERATOR).double(),
    torch.randn(25, 3, generator=GENERATOR).double(),
    torch.zeros(25, dtype=torch.int64),
)
FLAT = torch.einsum("nk,nd->nkd", OWN.errors, OWN.inputs).flatten(1).numpy()
RIDGE = 0.5 * (FLAT**2).sum(1).mean()


def stacked(chosen):
    """Ridge regression as plain least squares, with rows of sqrt(ridge) below."""
    tall = np.vstack([FLAT[chosen].T, np.sqrt(RIDGE) * np.eye(len(chosen))])
    return nnls(tall, np.concatenate([FLAT.sum(0), np.zeros(len(chosen))]))[0]


def test_order_is_that_of_matching_pursuit_on_gradients_written_out():
    chosen, residual = [], FLAT.sum(0)
    while len(chosen) < 10:
        along = FLAT @ residual / np.sqrt((FLAT**2).sum(1) + RIDGE)
        along[chosen] = -np.inf
        chosen.append(int(along.argmax()))
        residual = FLAT.sum(0) - stacked(chosen) @ FLAT[chosen]
    assert pursue(OWN, 10, 0.5).tolist() == chosen


def objective_of(rows):
    """The least the objective can be with these images, by an independent solver."""
    chosen = list(rows)
    w = stacked(chosen)
    return ((w @ FLAT[chosen] - FLAT.sum(0)) ** 2).sum() + RIDGE * (w**2).sum()


def test_the_first_image_is_the_best_one_of_all():
    best = min(range(25), key=lambda j: objective_of([j]))
    assert pursue(OWN, 1, 0.5).tolist() == [best]
    # The largest product with the sum, which the published algorithm takes, is another image here.
    assert int((FLAT @ FLAT.sum(0)).argmax()) != best


def test_few_images_come_close_to_the_best_few_of_all():
    found = objective_of(pursue(OWN, 3, 0.5).tolist())
    every = sorted(objective_of(rows) for rows in combinations(range(25), 3))
    assert found <= every[len(every) // 100]


def test_weights_minimise_the_objective():
    chosen = pursue(OWN, 6, 0.5)
    found = fit(OWN, chosen, 0.5).numpy()
    np.testing.assert_allclose(found, stacked(chosen.tolist()), rtol=1e-4, atol=1e-5)

    def objective(w):
        return ((w @ FLAT[chosen] - FLAT.sum(0)) ** 2).sum() + RIDGE * (w**2).sum()

    best = minimize(objective, np.ones(6), bounds=[(0, None)] * 6).fun
    assert objective(found) <= best * (1 + 1e-5)


def test_no_weight_is_zero():
    floor = FLOOR * 1.0
    assert positive(torch.tensor([0.0, 2.0])).tolist() == [torch.tensor(floor).item(), 2.0]
    assert positive(torch.zeros(2)).tolist() == [1, 1]


def test_vanishing_gradients_fill_the_budget():
    silent = gradients(
        torch.ones(4, 2),
        torch.tensor([[900.0, 0.0]]).expand(4, 2),
        torch.zeros(4, dtype=torch.int64),
    )
    assert pursue(silent, 3, 0.5).tolist() == [0, 1, 2]
    assert positive(fit(silent, torch.arange(3), 0.5)).tolist() == [1, 1, 1]
