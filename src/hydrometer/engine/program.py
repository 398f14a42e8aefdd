"""Students as programs: one at a time, or many stacked into one batched program."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.profiler import record_function

from hydrometer.engine import capture
from hydrometer.engine.choice import DEFAULT, Choice
from hydrometer.engine.objective import Target, objective, parts
from hydrometer.engine.optimisers import Climber, Optimiser, Rate
from hydrometer.losses import LossFn
from hydrometer.registry import build
from hydrometer.transfer import handed
from hydrometer.types import Precision, Recipe


class Program(Protocol):
    """k students that step together; every tensor has the students first."""

    students: int

    def step(self, images: Tensor, target: Target, rates: Sequence[float]) -> Tensor:
        """One optimiser step on (k, b, c, h, w); returns the losses (k,)."""

    def logits(self, images: Tensor) -> Tensor:
        """(k, n, classes) of images (n, c, h, w), in evaluation mode, of the tested weights."""


def reduced(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which forward passes run at the recipe's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


@contextmanager
def batched_attention() -> Iterator[None]:
    """Within, torch's attention keeps to operations that vmap can batch: its fused one it cannot."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def can_stack(model: nn.Module) -> bool:
    """Whether students of this kind can share one batched program: none of their layers draws."""
    drawing = ("DropPath", "StochasticDepth", "RReLU")
    return not any(
        (isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0)
        or (isinstance(m, nn.MultiheadAttention) and m.dropout > 0)
        or type(m).__name__ in drawing
        for m in model.modules()
    )


def mixes_images(model: nn.Module) -> bool:
    """Whether an image's output in training depends on the rest of its batch (batch norm)."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


class Average:
    """Exponential moving average of weights, tested instead of the last ones (buffers stay live).

    The decay is warmed up as min(decay, (1 + t) / (10 + t)), as the averages of the field's evaluators
    are, so that the initialisation does not linger in short runs.
    """

    def __init__(self, params: Sequence[Tensor], decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.params = [p.detach().clone() for p in params]

    def update(self, params: Sequence[Tensor]) -> None:
        """Move towards the current weights by 1 - decay."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.params, [p.detach() for p in params], 1 - decay)


def captured(model: nn.Module, moved: Sequence[Tensor], device: torch.device) -> capture.Captured:
    """Records gradients where the device can, and no layer draws: draws must not be replayed."""
    return capture.Captured(moved, capture.recorder(device) if can_stack(model) else None)


def directions(
    optimiser: Optimiser,
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    rate: Rate,
    gradient: Callable[[], capture.Made],
) -> Sequence[Tensor]:
    """What to step along: the gradients, or what a `Climber` makes of them and of those further up."""
    if not isinstance(optimiser, Climber):
        return grads
    with torch.no_grad():
        held = [p.detach().clone() for p in params]
        torch._foreach_add_(list(params), optimiser.climb(held, grads, rate))
    _, above = gradient()
    with torch.no_grad():
        torch._foreach_copy_(list(params), held)
        return optimiser.blend(grads, above, rate)


class Solo:
    """One student, trained by ordinary autograd; the choice says how its steps are computed."""

    students = 1

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        loss: LossFn,
        device: torch.device,
        choice: Choice = DEFAULT,
    ) -> None:
        self.model, self.choice = choice.prepared(model.to(device)), choice
        self.forward: Callable[[Tensor], Tensor] = (
            torch.compile(self.model) if choice.compiled else self.model
        )
        self.params: list[Tensor] = list(self.model.parameters())
        self.loss, self.device, self.precision = loss, device, recipe.precision
        self.optimiser: Optimiser = build("optimiser", recipe.optimiser)
        self.optimiser.start(self.params, [p.dim() > 1 for p in self.params])
        self.average = None if recipe.average is None else Average(self.params, recipe.average)
        whole = device.type != "cpu" or mixes_images(model)
        self.held = sys.maxsize if whole else choice.part
        self.captured = captured(model, list(self.model.buffers()), device)

    def step(self, images: Tensor, target: Target, rates: Sequence[float]) -> Tensor:
        """Forward, backward, update."""
        self.model.train()
        alone = Target(*(None if part is None else part[0] for part in target))  # type: ignore[arg-type]
        seen = self.choice.laid(images[0])
        gradient = partial(self.captured, self._gradient, seen, alone)
        value, here = gradient()
        grads = directions(self.optimiser, self.params, here, rates[0], gradient)
        with record_function("optimiser"), torch.no_grad():
            self.optimiser.step(self.params, grads, rates[0])
            if self.average is not None:
                self.average.update(self.params)
        return value[None]

    def _gradient(self, images: Tensor, target: Target) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Loss and gradients of a batch, in parts that add up where its images do not mix."""
        value = torch.zeros((), device=self.device)
        total: tuple[Tensor, ...] = ()
        for rows, part, share in parts(target, -(-len(images) // self.held)):
            with record_function("forward"), reduced(self.device, self.precision):
                logits = self.forward(images[rows])
                loss = share * objective(self.loss, logits.float(), part)
            with record_function("backward"):
                grads = torch.autograd.grad(
                    loss, self.params, allow_unused=True, materialize_grads=True
                )
            value += loss.detach()
            total = torch._foreach_add(total, grads) if total else grads
        return value, total

    def state(self) -> dict[str, Tensor]:
        """Copies of the weights, buffers and optimiser state, by name: what `resume` goes on from."""
        known = self.model.state_dict() | {
            f"optimiser.{i}": tensor for i, tensor in enumerate(self.optimiser.state())
        }
        return {name: tensor.detach().clone() for name, tensor in known.items()}

    def resume(self, state: Mapping[str, Tensor], steps: int) -> None:
        """Go on from the state after so many steps; for recipes that average no weights."""
        count = len(self.optimiser.state())
        own = [state[f"optimiser.{i}"].to(self.device) for i in range(count)]
        weights = {k: v for k, v in state.items() if not k.startswith("optimiser.")}
        self.model.load_state_dict(weights)
        self.optimiser.resume(own, steps)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Logits of the average if there is one, else of the last weights."""
        self.model.eval()
        tested = self.params if self.average is None else self.average.params
        names = [name for name, _ in self.model.named_parameters()]
        weights: dict[str, Tensor] = dict(zip(names, tested, strict=True))

        def answer() -> Tensor:
            with reduced(self.device, self.precision):
                logits: Tensor = functional_call(self.model, weights, (self.choice.laid(images),))
            return logits.float()[None]

        return self.captured.with_room(answer)


class Stack:
    """Many students of one architecture as one vmapped program over stacked parameters."""

    def __init__(
        self, models: Sequence[nn.Module], recipe: Recipe, loss: LossFn, device: torch.device
    ) -> None:
        self.students = len(models)
        params, self.buffers = stack_module_state([m.to(device) for m in models])
        self.names = list(params)
        self.params = [params[name].detach() for name in self.names]
        self.skeleton = copy.deepcopy(models[0]).to("meta")
        self.loss, self.device, self.precision = loss, device, recipe.precision
        self.optimiser: Optimiser = build("optimiser", recipe.optimiser)
        self.optimiser.start(self.params, [p.dim() > 2 for p in self.params])
        self.captured = captured(models[0], list(self.buffers.values()), device)
        self.average = None if recipe.average is None else Average(self.params, recipe.average)

    def step(self, images: Tensor, target: Target, rates: Sequence[float]) -> Tensor:
        """Forward, backward and update of every student at once."""
        self.skeleton.train()
        rate = self._on_device(rates)
        gradient = partial(self.captured, self._gradient, images, target)
        losses, here = gradient()
        grads = directions(self.optimiser, self.params, here, rate, gradient)
        self.optimiser.step(self.params, grads, rate)
        if self.average is not None:
            self.average.update(self.params)
        return losses

    def _gradient(self, images: Tensor, target: Target) -> tuple[Tensor, list[Tensor]]:
        """Losses (k,) and gradients of a batch."""
        present = tuple(part for part in target if part is not None)
        layout = tuple(part is not None for part in target)

        def value(
            params: dict[str, Tensor],
            buffers: dict[str, Tensor],
            x: Tensor,
            parts: tuple[Tensor, ...],
        ) -> Tensor:
            filled = iter(parts)
            own = Target(*(next(filled) if there else None for there in layout))  # type: ignore[arg-type]
            with reduced(self.device, self.precision):
                logits: Tensor = functional_call(self.skeleton, (params, buffers), (x,))
            return objective(self.loss, logits.float(), own)

        state = dict(zip(self.names, self.params, strict=True))
        with record_function("forward and backward"):
            grads, values = vmap(grad_and_value(value))(state, self.buffers, images, present)
        losses: Tensor = values.detach()
        return losses, [grads[name] for name in self.names]

    def _on_device(self, rates: Sequence[float]) -> Tensor:
        """The rates (k,) of a step."""
        return handed(torch.tensor(rates, dtype=torch.float32), self.device)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Every student's logits on the same images."""
        self.skeleton.eval()
        tested = self.params if self.average is None else self.average.params

        def forward(params: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            with reduced(self.device, self.precision):
                logits: Tensor = functional_call(self.skeleton, (params, buffers), (images,))
            return logits.float()

        def answer() -> Tensor:
            with batched_attention():
                every: Tensor = vmap(forward)(
                    dict(zip(self.names, tested, strict=True)), self.buffers
                )
            return every

        return self.captured.with_room(answer)
