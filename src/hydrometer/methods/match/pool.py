"""A queue of networks of every age, in training on the real images while others learn from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import vector_to_parameters

from hydrometer.engine.data import Images
from hydrometer.methods.match.networks import Network, flat, fresh
from hydrometer.types import Source, Spec

_RATE = 0.01
_MOMENTUM = 0.9
_DECAY = 5e-4
_BATCH = 256


@dataclass
class Member:
    """One network: weights and velocity (p,), and the fraction right in its last turn of training."""

    weights: Tensor
    velocity: Tensor
    accuracy: float = 0.0


class Pool:
    """At most `size` networks, of which the oldest leaves when a new one comes.

    Trained by SGD 0.01 with momentum 0.9 and weight decay 5e-4 on batches of 256 real images without
    augmentation: Zhao et al., "Improved Distribution Matching for Dataset Condensation" (CVPR 2023,
    arXiv 2307.09742), section 4.2, with the numbers of the authors' code. Where labels of the source
    are believed unequally they learn its soft targets, by weight.
    """

    def __init__(
        self, spec: Spec, source: Source, images: Images, size: int, rng: np.random.Generator
    ) -> None:
        self.spec, self.source, self.images, self.size, self.rng = spec, source, images, size, rng
        self.device = images.lens.device
        self.labels = source.train.labels.to(self.device)
        self.belief = source.train.belief
        self.model = fresh(spec, source, np.random.default_rng(0), self.device)
        self.network = Network(self.model)
        self.members: list[Member] = []

    def grow(self) -> None:
        """Add an untrained network."""
        weights = flat(fresh(self.spec, self.source, self.rng, self.device))
        self.members.append(Member(weights, torch.zeros_like(weights)))
        del self.members[: -self.size]

    def draw(self) -> tuple[nn.Module, float]:
        """A random network as it is now, until the next draw, and its accuracy."""
        member = self.members[int(self.rng.integers(len(self.members)))]
        vector_to_parameters(member.weights, self.model.parameters())
        return self.model, member.accuracy

    def train(self, count: int, steps: int) -> None:
        """Train `count` random networks, or all there are, for some steps each."""
        chosen = self.rng.choice(
            len(self.members), min(count, len(self.members)), replace=False
        ).tolist()
        for place in chosen if steps else ():
            member = self.members[place]
            hits = [self._step(member) for _ in range(steps)]
            member.accuracy = sum(hits) / steps

    def memory(self) -> dict[str, Tensor]:
        """All networks, oldest first."""
        return {
            "weights": torch.stack([m.weights.detach() for m in self.members]),
            "velocity": torch.stack([m.velocity for m in self.members]),
            "accuracy": torch.tensor([m.accuracy for m in self.members], dtype=torch.float64),
        }

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take these networks instead of those there are."""
        weights, velocity = (memory[name].to(self.device) for name in ("weights", "velocity"))
        accuracy: list[float] = memory["accuracy"].tolist()
        self.members = [Member(*each) for each in zip(weights, velocity, accuracy, strict=True)]

    def _step(self, member: Member) -> float:
        """One step of SGD; the fraction of its batch that was right."""
        size = len(self.labels)
        drawn = self.rng.choice(size, min(_BATCH, size), replace=False)
        rows = torch.from_numpy(drawn).to(self.device)
        weights = member.weights.requires_grad_()
        logits = self.network(weights, self.images[rows])
        (slope,) = torch.autograd.grad(self._loss(logits, rows), weights)
        member.weights = weights.detach()
        member.velocity = _MOMENTUM * member.velocity + slope + _DECAY * member.weights
        member.weights = member.weights - _RATE * member.velocity
        return float((logits.argmax(-1) == self.labels[rows]).float().mean())

    def _loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Mean cross entropy of a batch, weighted where labels are believed unequally."""
        if self.belief is None:
            return F.cross_entropy(logits, self.labels[rows])
        target, weight = (t.to(self.device)[rows] for t in (self.belief.target, self.belief.weight))
        return F.cross_entropy(logits, target, reduction="none") @ weight / weight.sum()
