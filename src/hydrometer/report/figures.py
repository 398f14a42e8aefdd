"""The report's figures: every seed shown, intervals drawn, colours that serve on light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from hydrometer.report import svg, text
from hydrometer.report.svg import Scale, tag
from hydrometer.types import ArmResult, Estimate, Run, Verdict

_MARKS = ("●", "■", "◆", "▲", "▼", "▬")
_STROKES = ("━━━", "━ ━", "·····", "━·━")
_DASHES = (None, "6 4", "2 3", "8 3 2 3")
_ROW, _STEP = 22, 17
_CLASSES = 20


@dataclass(frozen=True)
class Key:
    """One entry of a legend: a mark, whether it is the subject's, and what it stands for."""

    mark: str
    own: bool
    name: str


@dataclass(frozen=True)
class Figure:
    """A drawing, its legend, which wraps better as text than inside it, and what it shows."""

    svg: Markup
    legend: tuple[Key, ...] = ()
    caption: str = ""


def accuracies(verdicts: Sequence[Verdict], label: str) -> Figure:
    """Accuracy of every arm of every set, a faint point per seed and the mean with its interval.

    One block per verdict, labelled above its arms; `label` says it in words.
    """
    names = list(dict.fromkeys(arm.name for v in verdicts for arm in v.arms))
    found = [100 * a for v in verdicts for arm in v.arms for a in arm.accuracy]
    ends = [100 * e for v in verdicts for n, x in v.estimates.items() if ":" in n
            for e in (x.low, x.high)]  # fmt: skip
    scale = svg.covering(found + ends, 12, svg.WIDTH - 12)
    block = _ROW + _STEP * max(1, len(names)) + 8
    bottom = 6 + block * len(verdicts)
    drawn = [svg.across(scale, 4, bottom, "test accuracy, %")]
    for index, verdict in enumerate(verdicts):
        top = 6 + index * block
        name = f"{verdict.card.title}  {text.budget(verdict.card.budget)}"
        drawn.append(tag("text", svg.short(name, svg.WIDTH - 16), class_="name", x=4, y=top + 13))
        drawn += [
            _arm(verdict, arm, names.index(arm.name), scale, top + _ROW + _STEP * (position + 0.4))
            for position, arm in enumerate(verdict.arms)
        ]
    return Figure(svg.figure(bottom + 42, label, *drawn), _legend(names, _MARKS))


def _arm(verdict: Verdict, arm: ArmResult, kind: int, scale: Scale, y: float) -> Markup:
    """One arm's seeds, faintly, then its mean with the interval."""
    side = _side(arm.name)
    seeds = svg.marks(kind, [(scale(100 * a), y) for a in arm.accuracy], 3, class_=f"{side} faint")
    estimate = verdict.estimates.get(f"accuracy:{arm.name}")
    if estimate is None:
        return seeds
    mean = svg.marks(kind, [(scale(100 * estimate.value), y)], 5, class_=side)
    return seeds + _interval(estimate, scale, y, side) + mean


def _interval(found: Estimate, scale: Scale, y: float, side: str) -> Markup:
    low, high = scale(100 * found.low), scale(100 * found.high)
    return tag(
        "path", class_=f"{side} bar", d=f"M{svg.number(low)} {svg.number(y)}H{svg.number(high)}"
    )


def losses(verdict: Verdict, runs: Mapping[str, Run]) -> Figure | None:
    """Training loss of each arm's chosen students over the run, or None without such runs.

    A line for the mean of the seeds, for the set's own also a band for their range; arms are told
    apart by colour and dash.
    """
    curves = [
        (arm.name, curve)
        for arm in verdict.arms
        if (curve := _curve(chosen(arm, runs))) is not None
    ]
    if not curves:
        return None
    height = 196.0
    across = Scale(0, 100, 46, svg.WIDTH - 10)
    top = max(float(curve.max()) for _, curve in curves)
    up = Scale(0, top or 1.0, height, 22)
    drawn = [
        svg.upright(up, across.start, across.end, "training loss"),
        svg.across(across, height, height, "share of the run, %"),
    ]
    names = [arm.name for arm in verdict.arms]
    for name, curve in curves:
        drawn.append(_band(curve, across, up, _side(name), names.index(name)))
    label = "Training loss over the run: " + "; ".join(
        f"{text.arm(name)} from {curve[0].mean():.2g} to {curve[-1].mean():.2g}"
        for name, curve in curves
    )
    caption = (
        "Training loss at the chosen rate, averaged over equal stretches of the run: "
        "the mean of the seeds, and for this set their range."
    )
    return Figure(svg.figure(height + 42, label, *drawn), _legend(names, _STROKES), caption)


def _curve(runs: Sequence[Run]) -> NDArray[np.float64] | None:
    """Losses (stretches, seeds) of those runs that stayed finite, or None."""
    kept = [run.losses for run in runs if run.losses and all(map(math.isfinite, run.losses))]
    if not kept:
        return None
    shortest = min(map(len, kept))
    return np.array([losses[:shortest] for losses in kept]).T


def _band(curve: NDArray[np.float64], x: Scale, y: Scale, side: str, position: int) -> Markup:
    places = [x(100 * (i + 0.5) / len(curve)) for i in range(len(curve))]
    mean = [(p, y(v)) for p, v in zip(places, curve.mean(axis=1), strict=True)]
    upper = [(p, y(v)) for p, v in zip(places, curve.max(axis=1), strict=True)]
    lower = [(p, y(v)) for p, v in zip(places, curve.min(axis=1), strict=True)]
    line = svg.path(mean, class_=f"{side} line", stroke_dasharray=_DASHES[position % len(_DASHES)])
    if side != "own" or curve.shape[1] == 1:
        return line
    return svg.path(upper + lower[::-1], closed=True, class_=f"{side} band") + line


def chosen(arm: ArmResult, runs: Mapping[str, Run]) -> list[Run]:
    """Those runs of an arm, found by key, that trained at its chosen rate; by seed."""
    known = (runs[key] for key in arm.runs if key in runs)
    return sorted(
        (run for run in known if run.recipe_digest == arm.recipe_digest), key=lambda run: run.seed
    )


def per_class(verdict: Verdict, runs: Mapping[str, Run]) -> Figure | None:
    """Test accuracy of each class for every arm: mean of the seeds, and their range for the set.

    Of more than 20 classes the 20 are shown that the set's own students know least. None without
    runs that count their hits by class.
    """
    arms = {
        arm.name: rates for arm in verdict.arms if (rates := _rates(chosen(arm, runs))) is not None
    }
    own = next((name for name in arms if _side(name) == "own"), None)
    if own is None or arms[own].shape[1] != len(verdict.card.classes):
        return None
    means = arms[own].mean(axis=0)
    worst = np.argsort(means, kind="stable")[:_CLASSES]
    shown = range(len(means)) if len(means) <= _CLASSES else worst
    room = min(150.0, 14 + 6.6 * max(len(verdict.card.classes[i]) for i in shown))
    least = min(float(rates.min()) for rates in arms.values())
    scale = Scale(min(90, math.floor(10 * least) * 10), 100, room, svg.WIDTH - 14)
    bottom = 6.0 + 19 * len(shown)
    drawn = [svg.across(scale, 2, bottom, "test accuracy, %")]
    heights = [14.0 + 19 * row for row in range(len(shown))]
    names = [svg.short(verdict.card.classes[i], room - 8) for i in shown]
    labels = [
        tag("text", name, x=room - 8, y=y + 4) for name, y in zip(names, heights, strict=True)
    ]
    drawn.append(tag("g", Markup("").join(labels), class_="end"))
    for kind, (arm, rates) in reversed([*enumerate(arms.items())]):
        drawn.append(_classes(rates[:, list(shown)], kind, _side(arm), scale, heights))
    n = len(arms[own])
    few = (
        "" if len(means) <= _CLASSES else f"The {_CLASSES} of {len(means):,} classes known least. "
    )
    lowest = f"lowest {verdict.card.classes[worst[0]]}, {text.percent(means[worst[0]])} %"
    caption = f"{few}Test accuracy by class: the mean of {n} seeds, and for this set their range."
    return Figure(
        svg.figure(bottom + 42, f"Test accuracy by class; {lowest}", *drawn),
        _legend([*arms], _MARKS),
        caption,
    )


def _classes(
    rates: NDArray[np.float64], kind: int, side: str, scale: Scale, heights: Sequence[float]
) -> Markup:
    """One arm's mark for each class (seeds, classes), and for the set itself the range behind it."""
    means = zip(rates.mean(axis=0), heights, strict=True)
    marks = svg.marks(kind, [(scale(100 * float(v)), y) for v, y in means], 4, class_=side)
    if side != "own":
        return marks
    ends = zip(rates.min(axis=0), rates.max(axis=0), heights, strict=True)
    bars = "".join(
        f"M{svg.number(scale(100 * float(low)))} {svg.number(y)}H{svg.number(scale(100 * float(high)))}"
        for low, high, y in ends
    )
    return tag("path", class_="own bar", d=bars) + marks


def _rates(runs: Sequence[Run]) -> NDArray[np.float64] | None:
    """Test accuracy (seeds, classes)."""
    kept = [run for run in runs if len(run.test_hits) > 1]
    if not kept:
        return None
    hits, totals = (
        np.array([getattr(run, name) for run in kept]) for name in ("test_hits", "test_totals")
    )
    return np.asarray(hits / np.maximum(totals, 1))


def _legend(arms: Sequence[str], marks: Sequence[str]) -> tuple[Key, ...]:
    return tuple(
        Key(marks[position % len(marks)], _side(name) == "own", text.arm(name))
        for position, name in enumerate(arms)
    )


def _side(arm: str) -> str:
    """The class that colours an arm: the subject's `own`, or the `other` to compare it with."""
    return "own" if arm.partition("_")[0] == "subject" else "other"
