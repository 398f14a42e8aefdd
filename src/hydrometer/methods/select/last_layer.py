"""Gradients of the cross entropy for the last layer, in the factors they are products of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def errors(logits: Tensor, labels: Tensor) -> Tensor:
    """softmax(z) - onehot(y), (n, k): the gradient of the loss for the logits.

    The entry of the label is minus the sum of the others, which keeps its digits where p is near 1.
    """
    at = labels.unsqueeze(1)
    others = logits.softmax(1).scatter(1, at, 0.0)
    return others.scatter(1, at, -others.sum(1, keepdim=True))


@dataclass(frozen=True)
class Gradients:
    """Gradients err [h, 1]^T of n images for weights and bias, none of them ever multiplied out.

    `errors` is (n, k) and `inputs` (n, d + 1), features with a one at the end for the bias. A sum of
    gradients is one (k, d + 1) matrix.
    """

    errors: Tensor
    inputs: Tensor

    def __getitem__(self, rows: Tensor) -> Gradients:
        return Gradients(self.errors[rows], self.inputs[rows])

    def double(self) -> Gradients:
        """The same in float64."""
        return Gradients(self.errors.double(), self.inputs.double())

    def squares(self) -> Tensor:
        """Squared lengths (n,): ||err||^2 (1 + ||h||^2)."""
        return self.errors.square().sum(1) * self.inputs.square().sum(1)

    def products(self, others: Gradients) -> Tensor:
        """<g_i, g_j> = <err_i, err_j> (1 + <h_i, h_j>), (n, m)."""
        return (self.errors @ others.errors.T) * (self.inputs @ others.inputs.T)

    def total(self, weights: Tensor | None = None) -> Tensor:
        """Sum of the gradients, each times its weight (n,) if there is one: (k, d + 1)."""
        scaled = self.errors if weights is None else self.errors * weights.unsqueeze(1)
        return scaled.T @ self.inputs

    def along(self, direction: Tensor) -> Tensor:
        """Inner product (n,) of every gradient with a (k, d + 1) matrix."""
        return ((self.inputs @ direction.T) * self.errors).sum(1)


def gradients(features: Tensor, logits: Tensor, labels: Tensor) -> Gradients:
    """Gradients of images with features (n, d), logits (n, k) and labels (n,)."""
    ones = features.new_ones(len(features), 1)
    return Gradients(errors(logits, labels), torch.cat([features, ones], 1))
