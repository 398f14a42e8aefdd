import json

import pytest

from hydrometer.report import figures


def traces(figure):
    return json.loads(figure.json)["data"]


def test_every_seed_is_a_point_and_every_interval_a_bar(make_verdict):
    verdict = make_verdict()
    seeds, mean = traces(figures.accuracies([verdict]))[:2]
    assert seeds["x"] == [100 * a for a in verdict.arms[0].accuracy]
    assert mean["x"] == pytest.approx([91.2])
    assert mean["error_x"]["array"] == pytest.approx([0.8])
    assert mean["error_x"]["arrayminus"] == pytest.approx([1.1])


def test_no_two_arms_share_a_place(make_verdict):
    drawn = traces(figures.accuracies([make_verdict(), make_verdict()]))
    places = [y for trace in drawn[1::2] for y in trace["y"]]
    assert len(places) == len(set(places)) == 6


def test_the_legend_names_the_arms_in_order(make_verdict):
    legend = figures.accuracies([make_verdict()]).legend
    assert [(key.name, key.own) for key in legend] == [
        ("this set", True), ("random images", False), ("full data", False)
    ]  # fmt: skip
    assert len({key.mark for key in legend}) == 3


def test_names_stay_text_in_labels(make_verdict, make_set):
    figure = figures.accuracies([make_verdict(make_set(method="<a href='//evil'>&amp;"))])
    label = json.loads(figure.json)["layout"]["annotations"][0]["text"]
    assert label.startswith("<b>&lt;a href='//evil'&gt;&amp;amp;</b>")


def test_losses_are_those_of_the_chosen_rate(make_verdict, make_run):
    runs = [
        make_run("subject-1", seed=1, losses=(9.0, 8.0)),
        make_run("subject-0"),
        make_run("subject-2", recipe_digest="another rate"),
        make_run("stranger"),
    ]
    drawn = traces(figures.losses(make_verdict(), {run.key: run for run in runs}))
    assert [trace["y"] for trace in drawn] == [[2.0, 1.0, 0.5, 0.25], [9.0, 8.0]]
    assert drawn[0]["x"] == [25, 50, 75, 100]


def test_without_runs_there_is_no_loss_figure(make_verdict, make_run):
    assert figures.losses(make_verdict(), {}) is None
    assert figures.losses(make_verdict(), {"stranger": make_run("stranger")}) is None
