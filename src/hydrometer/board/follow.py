"""Whether the numbers of a verdict follow from raw runs, made again as the verdict makes them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hydrometer import digest, metrics, registry, verdict
from hydrometer.types import ArmResult, Estimate, HydrometerError, Run, Verdict

_TOLERANCE = 1e-9
"""Numbers are stored in full; only the order in which another numpy adds them may differ."""


def check(judged: Verdict, runs: Mapping[str, Run]) -> None:
    """Refuse a verdict with a number that is not what its runs, given by key, come to.

    Seconds are left alone: the store may hold another process's run of the same student.

    Raises:
        HydrometerError: A run is not what its key says, or an arm or estimate does not follow.
    """
    _identified(runs)
    _counted(judged, runs)
    names = [arm.name for arm in judged.arms]
    if not any(name.startswith("subject") for name in names) or len(set(names)) < len(names):
        raise HydrometerError(f"the arms {', '.join(names)} must be one of each, one the subject")
    for arm in judged.arms:
        _same_arm(arm, _made_again(arm, runs))
    _same_estimates(judged)
    steps = sum(run.steps for run in runs.values())
    # Entries of version 1 do not know them and say 0.
    if judged.steps:
        _same("steps", judged.steps, steps)


def _identified(runs: Mapping[str, Run]) -> None:
    """A run's key is the digest of what was trained, and a recipe's of its text."""
    known: set[tuple[str, str]] = set()
    for key, run in runs.items():
        told = (run.recipe_digest, run.recipe)
        if told not in known and _digest_of(run.recipe) != run.recipe_digest:
            raise HydrometerError(f"recipe {run.recipe_digest} is not what its digest says")
        known.add(told)
        parts = [run.set_digest, run.recipe_digest, run.source_digest, run.seed]
        if digest.of(parts) != key:
            raise HydrometerError(f"run {key} is not of the set, recipe, source and seed it names")


def _digest_of(recipe: str) -> str:
    """The digest of a recipe's text; nothing's, where it is no recipe with a rate."""
    try:
        told = json.loads(recipe)
        return digest.of(told) if float(told["lr"]) else ""
    except (ValueError, TypeError, KeyError):
        return ""


def _counted(judged: Verdict, runs: Mapping[str, Run]) -> None:
    """All students sat the same exam, and none has more hits than there are images."""
    first = next(iter(runs.values()), None)
    for key, run in runs.items():
        for part in ("val", "test"):
            hits, totals = getattr(run, f"{part}_hits"), getattr(run, f"{part}_totals")
            if len(hits) != len(judged.card.classes) or totals != getattr(first, f"{part}_totals"):
                raise HydrometerError(f"{part}_totals of run {key} are not those of the other runs")
            if not all(0 <= hit <= total for hit, total in zip(hits, totals, strict=True)):
                raise HydrometerError(f"{part}_hits of run {key} are more than its {part}_totals")


def _made_again(arm: ArmResult, runs: Mapping[str, Run]) -> ArmResult:
    """The arm as its runs give it, in the order in which a verdict keeps them."""
    lost = [key for key in arm.runs if key not in runs]
    if lost:
        raise HydrometerError(f"arm {arm.name} names run {lost[0]}, which is not there")
    if not (arm.runs and arm.seeds and arm.set_digest) or len(arm.runs) % len(arm.seeds):
        raise HydrometerError(
            f"arm {arm.name} has {len(arm.runs)} runs on {len(arm.set_digest)} sets for "
            f"{len(arm.seeds)} seeds"
        )
    grid = [runs[key] for key in arm.runs]
    rates = len(grid) // len(arm.seeds)
    for place, run in enumerate(grid):
        position, rate = divmod(place, rates)
        seed, data = arm.seeds[position], arm.set_digest[position % len(arm.set_digest)]
        if (run.seed, run.set_digest) != (seed, data):
            raise HydrometerError(f"run {run.key} is not of the seed and set of arm {arm.name}")
        if run.recipe_digest != grid[rate].recipe_digest:
            raise HydrometerError(f"runs of arm {arm.name} differ in more than seed and rate")
    return verdict.reached(arm.name, arm.set_digest, arm.seeds, grid)


def _same_arm(entered: ArmResult, given: ArmResult) -> None:
    name = f"of arm {entered.name}"
    if len(entered.accuracy) != len(given.seeds) or len(entered.val_accuracy) != len(given.seeds):
        raise HydrometerError(f"accuracies {name} are not one for each of its seeds")
    for field in ("accuracy", "val_accuracy"):
        pairs = zip(getattr(entered, field), getattr(given, field), strict=True)
        for position, (then, now) in enumerate(pairs):
            _same(f"{field} {name}, seed {given.seeds[position]},", then, now)
    _same(f"lr {name}", entered.lr, given.lr)
    _same(f"diverged {name}", entered.diverged, given.diverged)
    if entered.recipe_digest != given.recipe_digest:
        raise HydrometerError(
            f"recipe_digest {name} is {entered.recipe_digest}, but the rate that is best on val has "
            f"{given.recipe_digest}"
        )


def _same_estimates(judged: Verdict) -> None:
    arms = {arm.name: arm for arm in judged.arms}
    absent = [arm for arm in arms if f"accuracy:{arm}" not in judged.estimates]
    if absent:
        raise HydrometerError(f"there is no estimate accuracy:{absent[0]}")
    for name, entered in judged.estimates.items():
        given = _estimate(name, arms, judged.protocol)
        if given is not None:
            for field in Estimate.model_fields:
                _same(f"{field} of estimate {name}", getattr(entered, field), getattr(given, field))


def _estimate(name: str, arms: Mapping[str, ArmResult], protocol: str) -> Estimate | None:
    """The estimate of a name, as `verdict.evaluate` makes it; None if its metric is not at hand."""
    metric, _, arm = name.partition(":")
    if metric == "accuracy" and arm in arms:
        return metrics.estimate(metric, {"subject": arms[arm]})
    if registry.parse(name).name in registry.names("metric"):
        return metrics.estimate(name, arms)
    # A plug-in that is not here may have brought both; a protocol of ours has metrics of ours.
    if protocol.partition("{")[0] in registry.names("protocol"):
        raise HydrometerError(f"estimate {name} is of no metric of {protocol}")
    return None


def _same(what: str, entered: float, given: float) -> None:
    # Written so that NaN is not the same as anything.
    if not abs(entered - given) <= _TOLERANCE:
        raise HydrometerError(f"{what} is {entered:.10g}, but the runs give {given:.10g}")
