"""Metrics: pure reductions of arms to a number. One metric is one function in one file.

The parameters of a metric are the arms it needs, as arrays of accuracies with seeds on the last
axis; keyword-only parameters with defaults are its weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hydrometer import registry, seeds
from hydrometer.stats import bootstrap
from hydrometer.types import ArmResult, Estimate, HydrometerError, Spec

Accuracies = NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Metric:
    """A metric, what it needs, and how to read it."""

    name: str
    title: str
    arms: tuple[str, ...]
    function: Callable[..., Accuracies]
    higher_is_better: bool
    bounds: tuple[float, float]
    """The least and the greatest value it can take."""
    own_seeds: tuple[str, ...]
    """Arms that may have other seeds than the rest, which is compared seed by seed."""


_STAND_INS = {"subject_hard": "subject"}
"""Who plays an absent part: a hard-label protocol trains its subject once, for both."""

_described: dict[Callable[..., Any], Metric] = {}


def describe(
    *,
    title: str,
    higher_is_better: bool,
    bounds: tuple[float, float],
    own_seeds: tuple[str, ...] = (),
) -> Callable[[Function], Function]:
    """Say how to read a metric; goes below `@register("metric")`, leaves the function as it is."""

    def mark(function: Function) -> Function:
        parameters = inspect.signature(function).parameters.values()
        _described[function] = Metric(
            name=function.__name__.replace("_", "-"),
            title=title,
            arms=tuple(p.name for p in parameters if p.default is p.empty),
            function=function,
            higher_is_better=higher_is_better,
            bounds=bounds,
            own_seeds=own_seeds,
        )
        return function

    return mark


def find(text: str) -> Metric:
    """The metric of a name such as `lrs`, or of a name with weights such as `lrs(w=0.3)`."""
    spec = registry.parse(text)
    function = registry.get("metric", spec.name)
    if function not in _described:
        raise HydrometerError(f"metric {spec.name!r} lacks @describe(...) below its @register")
    metric = _described[function]
    return _weighted(metric, spec) if spec.args else metric


def estimate(
    metric: str, arms: Mapping[str, ArmResult], *, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Reduce arms to the value of a metric and its expanded percentile bootstrap interval.

    `arms` maps the metric's parameters to results. Without a `subject_hard` the `subject` is
    taken for it, so a protocol whose subject has soft labels must train both. Arms with the same
    seeds are resampled together. `seed` is that of the resampling: the same input gives the same
    digits.

    Raises:
        HydrometerError: An arm is missing or empty, or arms to be compared seed by seed differ in
            their seeds.
    """
    wanted = find(metric)
    results = _select(wanted, arms)
    return bootstrap.interval(
        wanted.function,
        [np.array(result.accuracy) for result in results],
        groups=[result.seeds for result in results],
        bounds=wanted.bounds,
        level=level,
        rng=seeds.numpy_rng(seed, "bootstrap"),
    )


def over_seeds(accuracies: Accuracies) -> Accuracies:
    """Mean over the last axis."""
    return np.asarray(accuracies.mean(axis=-1))


def _weighted(metric: Metric, spec: Spec) -> Metric:
    known = [p for p in inspect.signature(metric.function).parameters if p not in metric.arms]
    for name, value in spec.args:
        if name not in known:
            raise HydrometerError(
                f"metric {metric.name} has no weight {name!r}; known: {', '.join(known) or 'none'}"
            )
        if not isinstance(value, int | float):
            raise HydrometerError(f"{name} of metric {metric.name} is {value!r}, not a number")
    return replace(metric, name=str(spec), function=partial(metric.function, **spec.kwargs))


def _select(metric: Metric, arms: Mapping[str, ArmResult]) -> list[ArmResult]:
    """The results a metric needs, in the order of its parameters."""
    parts = {name: arms.get(name) or arms.get(_STAND_INS.get(name, name)) for name in metric.arms}
    found = {name: result for name, result in parts.items() if result is not None}
    missing = [name for name in metric.arms if name not in found]
    if missing:
        raise HydrometerError(
            f"metric {metric.name} needs the arms {', '.join(metric.arms)}; "
            f"missing: {', '.join(missing)}; given: {', '.join(arms) or 'none'}"
        )
    for name, result in found.items():
        if not result.accuracy or len(result.accuracy) != len(result.seeds):
            raise HydrometerError(f"arm {name} must have one accuracy for each of 1 or more seeds")
    _check_pairing(metric, found)
    return list(found.values())


def _check_pairing(metric: Metric, found: Mapping[str, ArmResult]) -> None:
    paired = {name: arm.seeds for name, arm in found.items() if name not in metric.own_seeds}
    if len(set(paired.values())) > 1:
        listed = "; ".join(f"{name} has {given}" for name, given in paired.items())
        raise HydrometerError(f"metric {metric.name} compares arms seed by seed, but {listed}")
