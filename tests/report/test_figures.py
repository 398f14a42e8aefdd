import re
from math import inf, isnan, nan
from xml.etree import ElementTree

import pytest

from hydrometer.report import figures, frontier, svg
from hydrometer.report.frontier import Level, Point


def drawn(figure):
    """The figure as a browser's parser sees it."""
    return ElementTree.fromstring(figure.svg)


def of_class(figure, name):
    return [e for e in drawn(figure).iter() if name in e.get("class", "").split()]


def test_every_seed_is_a_faint_mark_and_every_interval_a_bar(make_verdict):
    figure = figures.accuracies([make_verdict()], "words")
    assert [e.get("d").count("M") for e in of_class(figure, "faint")] == [5, 5, 3]
    assert len(of_class(figure, "bar")) == 3
    assert drawn(figure).get("aria-label") == "words"


def test_marks_lie_where_their_values_are(make_verdict):
    verdict = make_verdict()
    figure = figures.accuracies([verdict], "")
    (*_, own) = [e for e in of_class(figure, "own") if e.get("stroke-width") == "10"]
    (bar,) = [e for e in of_class(figure, "bar") if "own" in e.get("class")]
    low, _, high = map(float, re.findall(r"[\d.]+", bar.get("d")))
    reached = verdict.estimates["accuracy:subject"]
    share = (reached.value - reached.low) / (reached.high - reached.low)
    assert float(own.get("d")[1:].split()[0]) == pytest.approx(low + share * (high - low), abs=0.2)


def test_arms_differ_in_more_than_colour(make_verdict):
    legend = figures.accuracies([make_verdict()], "").legend
    assert [(key.name, key.own) for key in legend] == [
        ("this set", True), ("random images", False), ("full data", False)
    ]  # fmt: skip
    assert len({key.mark for key in legend}) == 3


def test_names_stay_text(make_verdict, make_set):
    name = "<a href='//evil'>&amp;"
    figure = figures.accuracies([make_verdict(make_set(method=name))], "<b>")
    (label,) = of_class(figure, "name")
    assert label.text.startswith(name)


def test_losses_are_those_of_the_chosen_rate(make_verdict, make_run):
    runs = [
        make_run("subject-1", seed=1, losses=(4.0, 1.0, 0.5, 0.25)),
        make_run("subject-0"),
        make_run("subject-2", recipe_digest="another rate", losses=(99.0,) * 4),
        make_run("stranger", losses=(99.0,) * 4),
    ]
    figure = figures.losses(make_verdict(), {run.key: run for run in runs})
    assert "from 3 to 0.25" in drawn(figure).get("aria-label")
    assert (len(of_class(figure, "line")), len(of_class(figure, "band"))) == (1, 1)


@pytest.mark.parametrize("kind", range(7))
def test_marks_are_around_their_places(kind):
    drawn = ElementTree.fromstring(svg.marks(kind, [(10, 20), (30, 40)], 4))
    assert re.findall(r"M([\d.]+ [\d.]+)[mh]", drawn.get("d")) == ["10 20", "30 40"]


def test_a_diverged_loss_is_left_out(make_verdict, make_run):
    runs = {"subject-0": make_run(), "subject-1": make_run("subject-1", seed=1, losses=(9.0, nan))}
    figure = figures.losses(make_verdict(), runs)
    assert not of_class(figure, "band")
    assert figures.losses(make_verdict(), {"subject-0": make_run(losses=(inf,))}) is None


def test_without_runs_there_are_no_figures_of_runs(make_verdict, make_run):
    for draw in (figures.losses, figures.per_class):
        assert draw(make_verdict(), {}) is None
        assert draw(make_verdict(), {"stranger": make_run("stranger")}) is None


def test_classes_are_shown_with_the_range_of_the_seeds(make_verdict, make_run):
    hits = {"test_totals": (10, 10)}
    runs = [make_run("subject-0", test_hits=(5, 9), **hits),
            make_run("subject-1", seed=1, test_hits=(7, 9), **hits)]  # fmt: skip
    figure = figures.per_class(make_verdict(), {run.key: run for run in runs})
    assert "lowest cat, 60.0 %" in drawn(figure).get("aria-label")
    assert "2 seeds" in figure.caption
    cat, dog = of_class(figure, "bar")[0].get("d")[1:].split("M")
    low, _, high = map(float, re.findall(r"[\d.]+", cat))
    assert high - low == pytest.approx(0.2 / 0.5 * (svg.WIDTH - 14 - (14 + 6.6 * 3)), abs=0.2)
    assert len(set(re.findall(r"[\d.]+", dog))) == 2


def test_of_many_classes_the_worst_are_shown(make_verdict, make_set, make_run):
    names = tuple(f"class {i}" for i in range(100))
    run = make_run(test_hits=tuple(range(100)), test_totals=(100,) * 100)
    verdict = make_verdict(make_set(classes=names))
    figure = figures.per_class(verdict, {run.key: run})
    shown = [e.text for e in drawn(figure).iter("text")]
    assert "class 0" in shown and "class 19" in shown and "class 20" not in shown
    assert "20 of 100 classes" in figure.caption


def test_the_front_holds_what_nothing_cheaper_beats(estimate_of):
    points = [Point(name, cost, estimate_of(value, value - 0.1, value + 0.1), i)
              for i, (name, cost, value) in enumerate(
                  [("a", 100, 0.5), ("b", 200, 0.4), ("c", 300, 0.8)])]  # fmt: skip
    levels = [Level("random images", 0.3, (100, 300)), Level("full data", 0.95)]
    figure = frontier.frontier(points, levels, "bytes", lambda v: f"{v:.0f} B")
    label = drawn(figure).get("aria-label")
    assert label.endswith("a 50.0 % at 100 B, c 80.0 % at 300 B")
    assert [e.get("data-row") for e in of_class(figure, "own") if e.get("data-row")] == [
        "0",
        "1",
        "2",
    ]
    assert len(of_class(figure, "hollow")) == 1
    titles = [e.text for e in drawn(figure).iter("title")]
    assert titles == ["random images: 30.0 %", "full data: 95.0 %"]


@pytest.mark.parametrize(("low", "high"), [(1, 1), (0.6, 99), (650, 7000), (3, 4), (1e-9, 1e9)])
@pytest.mark.parametrize("log", [True, False])
def test_scales_have_ticks_within_and_keep_order(low, high, log):
    scale = svg.covering([low, high], 0, 100, log=log)
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)
    assert 1 <= len(scale.ticks) <= 12
    assert 0 <= scale(low) <= scale(high) <= 100
    assert not isnan(scale(low))


def test_nothing_to_scale_is_no_error():
    assert svg.covering([], 0, 1).ticks
    assert svg.covering([nan, inf], 0, 1, log=True).ticks
