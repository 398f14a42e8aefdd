"""The report's figures: every seed shown, intervals drawn, colours that serve on light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from hydrometer.report import text
from hydrometer.types import ArmResult, Estimate, Run, Verdict

ACCENT, GREY = "#12908a", "#7c858f"
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
_MARKS = ("●", "■", "◆", "▲", "✚", "✖")
_DASHES = ("solid", "dash", "dot", "dashdot")
_STROKES = ("━━━", "━ ━", "┅┅┅", "━·━")
_GRID = "rgba(128,128,128,0.22)"
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif'
_ROW, _STEP, _MARGIN = 1.0, 0.2, 64


@dataclass(frozen=True)
class Key:
    """One entry of a legend: a mark, whether it is the subject's, and what it stands for."""

    mark: str
    own: bool
    name: str


@dataclass(frozen=True)
class Figure:
    """A plotly figure as JSON, and its legend, which wraps better as text than plotly's does."""

    json: str
    legend: tuple[Key, ...]


def accuracies(verdicts: Sequence[Verdict]) -> Figure:
    """Accuracy of every arm of every set, a faint point per seed and the mean with its interval.

    One row per verdict, labelled above its arms.
    """
    names = list(dict.fromkeys(arm.name for v in verdicts for arm in v.arms))
    tallest = max((len(v.arms) for v in verdicts), default=1)
    spacing = _ROW + _STEP * max(0, tallest - 3)
    figure = _canvas(height=round(_MARGIN + 96 * spacing * max(1, len(verdicts))))
    for position, name in enumerate(names):
        _draw_arm(figure, verdicts, name, position, spacing)
    for index, verdict in enumerate(verdicts):
        figure.add_annotation(
            text=f"<b>{_plain(verdict.card.method)}</b>  {_plain(text.budget(verdict.card.budget))}",
            x=0, xref="paper", xanchor="left", y=index * spacing - 0.28, showarrow=False,
        )  # fmt: skip
    figure.update_xaxes(title_text="test accuracy, %")
    figure.update_yaxes(
        visible=False, range=[max(1, len(verdicts)) * spacing - 0.35, -0.5], zeroline=False
    )
    return Figure(str(figure.to_json()), _legend(names, _MARKS))


def losses(verdict: Verdict, runs: Mapping[str, Run]) -> Figure | None:
    """Training loss of each arm's chosen students over the run, or None without such runs.

    One line per seed, the arms told apart by colour and dash.
    """
    figure = _canvas(height=300)
    for position, arm in enumerate(verdict.arms):
        for run in chosen(arm, runs):
            figure.add_scatter(
                x=[100 * (i + 1) / len(run.losses) for i in range(len(run.losses))],
                y=list(run.losses),
                mode="lines",
                line={
                    "color": _colour(arm.name),
                    "width": 1.3,
                    "dash": _DASHES[position % len(_DASHES)],
                },
                opacity=0.7,
                name=_plain(text.arm(arm.name)),
                hovertemplate=f"seed {run.seed}: %{{y:.3g}} at %{{x:.0f}} % of the run",
            )
    if not figure.data:
        return None
    figure.update_xaxes(title_text="share of the run, %")
    figure.update_yaxes(title_text="training loss", rangemode="tozero")
    return Figure(str(figure.to_json()), _legend([arm.name for arm in verdict.arms], _STROKES))


def chosen(arm: ArmResult, runs: Mapping[str, Run]) -> list[Run]:
    """Those runs of an arm, found by key, that trained at its chosen rate; by seed."""
    known = (runs[key] for key in arm.runs if key in runs)
    return sorted(
        (run for run in known if run.recipe_digest == arm.recipe_digest), key=lambda run: run.seed
    )


def _draw_arm(
    figure: Any, verdicts: Sequence[Verdict], name: str, position: int, spacing: float
) -> None:
    """One arm over all sets: seeds faintly, then means with intervals."""
    xs: list[float] = []
    ys: list[float] = []
    means: list[tuple[float, Estimate]] = []
    for index, verdict in enumerate(verdicts):
        y = index * spacing + _STEP * position
        for arm in (arm for arm in verdict.arms if arm.name == name):
            xs.extend(100 * a for a in arm.accuracy)
            ys.extend(y for _ in arm.accuracy)
        if found := verdict.estimates.get(f"accuracy:{name}"):
            means.append((y, found))
    look = {"color": _colour(name), "symbol": _SYMBOLS[position % len(_SYMBOLS)]}
    figure.add_scatter(
        x=xs, y=ys, mode="markers", marker={**look, "size": 7, "opacity": 0.4},
        hovertemplate="one seed: %{x:.1f} %<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[100 * e.value for _, e in means],
        y=[y for y, _ in means],
        mode="markers",
        marker={**look, "size": 11},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [100 * (e.high - e.value) for _, e in means],
            "arrayminus": [100 * (e.value - e.low) for _, e in means],
            "thickness": 2,
            "width": 5,
        },
        name=_plain(text.arm(name)),
        text=[f"{text.interval(e, '%')}, n = {e.n}" for _, e in means],
        hovertemplate=f"{_plain(text.arm(name))}: %{{text}}<extra></extra>",
    )


def _canvas(height: int) -> Any:
    figure = go.Figure(layout={"template": "none"})
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 12, "t": 8, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": _FONT, "size": 13},
        hoverlabel={"bgcolor": "#1d2327", "font": {"color": "#ffffff"}},
        showlegend=False,
        dragmode=False,
    )  # fmt: skip
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(gridcolor=_GRID, zeroline=False, fixedrange=True, automargin=True, title_standoff=12)
    return figure


def _legend(arms: Sequence[str], marks: Sequence[str]) -> tuple[Key, ...]:
    return tuple(
        Key(marks[position % len(marks)], _own(name), text.arm(name))
        for position, name in enumerate(arms)
    )


def _own(arm: str) -> bool:
    return arm.partition("_")[0] == "subject"


def _colour(arm: str) -> str:
    return ACCENT if _own(arm) else GREY


def _plain(data: str) -> str:
    """Text from data for plotly, whose labels read a dialect of HTML: `<` must stay a character."""
    return escape(data, quote=False)
