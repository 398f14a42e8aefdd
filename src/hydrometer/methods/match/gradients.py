"""Gradients of every class's loss at once, and how alike two sets of them are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from hydrometer.methods.match.networks import Network

_EPS = 1e-6

Gradients = dict[str, Tensor]


def class_gradients(
    network: Network, weights: Tensor, images: Tensor, labels: Tensor, share: Tensor
) -> Gradients:
    """Parameter gradients, k of each, of the mean cross entropy of k classes of images.

    `images` is (k, b, c, h, w), `labels` (k,), `share` (k, b) each image's part in its class's mean.
    """

    def loss(parts: Gradients, batch: Tensor, label: Tensor, part: Tensor) -> Tensor:
        logits = functional_call(network.model, parts, (batch,))
        return F.cross_entropy(logits, label.expand(len(batch)), reduction="none") @ part

    found: Gradients = vmap(grad(loss), in_dims=(None, 0, 0, 0))(
        network.parts(weights), images, labels, share
    )
    return found


def row_cosine(real: Gradients, made: Gradients) -> Tensor:
    """Sum over classes, layers and output units of 1 − cosine of the unit's two gradients.

    Parameters of one dimension (biases, norms) are left out, as in the code of Dataset Condensation
    (arXiv 2006.05929, section 3.4).
    """
    total = torch.zeros((), device=next(iter(made.values())).device)
    for name, goal in real.items():
        if goal.dim() > 2:
            a, b = goal.flatten(2), made[name].flatten(2)
            norms = a.norm(dim=-1) * b.norm(dim=-1)
            total = total + (1 - (a * b).sum(-1) / (norms + _EPS)).sum()
    return total
