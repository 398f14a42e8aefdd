"""The board of our own results, as it lies in the repository."""

from pathlib import Path

import pytest
import torch

from hydrometer import sources
from hydrometer.bench import plan as plans
from hydrometer.board import entry as entries
from hydrometer.board import ranking, sheets, verify
from hydrometer.cli.report import read_attributions
from hydrometer.execute import Silent
from hydrometer.execute.lab import Lab

BOARD = Path(__file__).parents[2] / "board"
ENTRIES = entries.read_all(BOARD)


def test_entries_carry_all_that_the_report_shows():
    for entry in ENTRIES:
        assert len(entry.subject.seeds) == 5
        for arm in entry.arms:
            kept = [run for run in entry.runs if run.key in arm.runs and run.losses]
            assert kept and all(run.seconds > 0 and run.steps > 0 for run in kept)
        assert (BOARD / entry.file_name).is_file()
    assert {e.set.digest for e in ENTRIES} == set(sheets.read_all(BOARD))


def test_entries_are_the_cells_of_the_plan():
    plan = plans.read(BOARD / "plan.toml")
    cells = {(c.source, c.method, c.budget, c.seed, c.protocol) for c in plan.cells}
    assert cells == {
        (e.source, e.card.method, e.card.budget, e.card.seed, e.protocol) for e in ENTRIES
    }


def test_entries_can_be_ranked_and_hold_their_own_numbers():
    ranking.tables(ENTRIES)
    for entry in ENTRIES:
        runs = entry.full_runs
        for arm in entry.arms:
            reached = [runs[k].test_accuracy for k in arm.runs
                       if runs[k].recipe_digest == arm.recipe_digest]  # fmt: skip
            assert sorted(reached) == pytest.approx(sorted(arm.accuracy))


def test_one_entry_at_least_says_where_its_accuracy_comes_from():
    found = read_attributions(BOARD / "attributions")
    assert found
    for told in found:
        assert told.set_digest in {entry.set.digest for entry in ENTRIES}
        parts = sum(part.share.value for part in told.parts)
        assert parts == pytest.approx(told.total.value)
        assert parts == pytest.approx(told.on.value - told.off.value)


def test_the_cheapest_entry_reproduces():
    cheapest = min(ENTRIES, key=lambda e: (e.card.bytes.total, e.card.seconds))
    lab = Lab(sources.load(cheapest.source), torch.device("cpu"))
    found = verify.verify(cheapest, lab, Silent(), arms=(cheapest.subject.name,))
    assert found.reproduces, found
