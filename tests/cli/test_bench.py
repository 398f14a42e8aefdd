"""A plan from its price to its board."""

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time

import pyarrow.csv
import pyarrow.parquet
import pytest
from quick import PROTOCOL, evaluate

from hydrometer.artifact import container
from hydrometer.bench import plan as plans
from hydrometer.bench import results
from hydrometer.store import Store

PROGRAM = [sys.executable, "-c", "from hydrometer.cli import main; main()"]
TEXT = f"""
[plan]
name = "grid"
sources = ["digits"]
methods = ["random", "herding(features=pixels)"]
budgets = ["ipc=1"]
protocols = ['{PROTOCOL}']
"""
SUBJECTS, SHARED = 2 * 2 * 2, 2 * 2 + 2
"""Students of two subjects; and of the random and the full-data arm, trained once for both."""


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(TEXT)
    return path


def status(succeed, plan):
    return json.loads(succeed("bench", "status", plan, "--json")[0])


def test_a_plan_from_its_price_to_its_board(succeed, run, plan, tmp_path):
    price = json.loads(succeed("bench", "run", plan, "--dry-run", "--json")[0])
    assert (price["cells"], price["cost"]["students"]) == (2, SUBJECTS + SHARED)
    assert status(succeed, plan)["left"] == 2
    out, err = succeed("bench", "run", plan)
    assert "2 of 2 cells done, 0 failed, 0 left" in out
    assert len(re.findall(r"^student ", err, re.M)) == SUBJECTS + SHARED
    told = status(succeed, plan)
    assert (told["done"], told["failed"], told["left"], told["seconds_left"]) == (2, [], 0, 0)
    out, err = succeed("bench", "run", plan, "--quiet")
    assert err == ""

    store = tmp_path / "grid" / "runs.sqlite"
    out, _ = succeed("report", "--store", store, "--out", "page.html", "--json")
    assert json.loads(out) == {"verdicts": 2, "written": ["page.html"]}
    assert succeed("report", "--store", store, "--csv", "r.csv")[0] == "2 verdicts: r.csv\n"
    page = (tmp_path / "page.html").read_text()
    assert "herding(features=pixels)" in page
    assert "data:image/png" in page
    out, _ = succeed("report", store, "--out", "site", "--json")
    assert json.loads(out)["verdicts"] == 2
    assert (tmp_path / "site" / "index.html").is_file()
    succeed("report", "--store", store, "--csv", "r.csv", "--parquet", "r.pq", "--latex", "t.tex")
    for table in (pyarrow.csv.read_csv("r.csv"), pyarrow.parquet.read_table("r.pq")):
        assert table.num_rows == SUBJECTS + SHARED
    assert (tmp_path / "t.tex").read_text().count(r"\textbf") >= 1

    for made in (tmp_path / "grid" / "sets").iterdir():
        succeed("board", "add", store, "--set", made, "--reported", "66.8")
    out, _ = succeed("board", "show")
    assert "66.8 %" in out
    shown = json.loads(succeed("board", "show", "--json")[0])
    assert [len(table["places"]) for table in shown] == [2]
    entry = next((tmp_path / "board").glob("*.json"))
    assert len([*(tmp_path / "board" / "sheets").iterdir()]) == 2
    out, _ = succeed("board", "verify", entry, "--source", "digits", "--quiet")
    assert out.startswith("reproduces: the same digits on the same machine")
    text = json.loads(entry.read_text())
    chosen = text["arms"][0]["recipe_digest"]
    first = next(run for run in text["runs"] if run["recipe_digest"] == chosen)
    hits, totals = first["test_hits"], first["test_totals"]
    less = hits.index(max(hits))
    hits[less] -= 1
    entry.write_text(json.dumps(text))
    for words in (("show",), ("verify", entry, "--source", "digits")):
        code, _, err = run("board", *words)
        assert (code, "accuracy of arm subject, seed 0, is" in err) == (2, True), err
    # As many hits, but of other classes: all numbers follow, and the students do not.
    hits[next(i for i in range(10) if i != less and hits[i] < totals[i])] += 1
    text["card"]["bytes"]["images"] = 1
    entry.write_text(json.dumps(text))
    code, out, _ = run("board", "verify", entry, "--source", "digits", "--quiet", "--json")
    told = json.loads(out)
    assert (code, told["reproduces"], told["same_digits"]) == (1, False, False)
    assert "card.bytes.images is 1 in the entry" in told["differences"][0]


def test_a_dry_run_says_which_cells_cannot_run_and_leaves_as_the_real_run(run, plan):
    plan.write_text(TEXT.replace("ipc=1", "ipc=9999").replace(', "herding(features=pixels)"', ""))
    code, out, _ = run("bench", "run", plan, "--dry-run")
    assert code == 1
    head, reason = out.splitlines()
    assert head == "grid, 1 cell: nothing to train"
    assert reason.startswith("cannot run random (ipc=9999, seed 0) on digits, ")
    assert "asks for 9999 images" in reason
    code, out, _ = run("bench", "run", plan, "--quiet")
    assert code == 1
    assert "0 of 1 cell done, 1 failed, 0 left" in out
    code, out, _ = run("bench", "run", plan, "--dry-run")
    assert code == 1
    head, reason = out.splitlines()
    assert head == "grid, 0 cells: nothing to train"
    assert reason.startswith("not tried again without --retry-failed: random (ipc=9999, seed 0)")
    code, out, _ = run("bench", "run", plan, "--dry-run", "--retry-failed", "--json")
    told = json.loads(out)
    assert (code, told["cells"], len(told["impossible"]), told["failed"]) == (1, 1, 1, [])


def test_failed_cells_are_said_and_leave_with_code_1(run, plan):
    plan.write_text(TEXT.replace("ipc=1", "ipc=9999"))
    code, out, _ = run("bench", "run", plan, "--quiet")
    assert code == 1
    assert "0 of 2 cells done, 2 failed, 0 left" in out
    assert out.count("asks for 9999 images") == 2
    _, out, _ = run("bench", "status", plan, "--json")
    assert len(json.loads(out)["failed"]) == 2


def test_unknown_names_are_one_sentence(refused, plan):
    plan.write_text(TEXT.replace("random", "randim").replace("ipc=1", "ipc"))
    said = refused("bench", "run", plan)
    assert "line 5: no method named 'randim', did you mean 'random'?; line 6: " in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("report", "--store", "none.sqlite"), "no store at none.sqlite"),
        (("report", "none.sqlite"), "no store at none.sqlite"),
        (("report", ".", "--csv", "r.csv"), "is a board"),
        (("report", ".", "--out", "r.html"), "is a board"),
        (("report", "."), "no results to report"),
        (("serve", "nowhere"), "no report in nowhere"),
        (("board", "show"), "no board at board"),
        (("board", "verify", "none.json", "-s", "digits"), "cannot read entry none.json"),
        (("bench", "status", "none.toml"), "cannot read plan none.toml"),
    ],
)
def test_what_is_not_there_is_said(refused, words, said):
    assert said in refused(*words)


def test_two_methods_with_the_same_images_have_a_verdict_each(succeed, made, tmp_path):
    found = container.load(made)
    twin = dataclasses.replace(found, card=found.card.model_copy(update={"method": "twin"}))
    container.save(twin, tmp_path / "twin.safetensors")
    for path in (made, "twin.safetensors"):
        succeed(*evaluate(path, "--store", "runs.sqlite", "--quiet"))
    succeed("board", "add", "runs.sqlite", "--set", "twin.safetensors")
    entry = json.loads(next((tmp_path / "board").iterdir()).read_text())
    assert entry["card"]["method"] == "twin"


def test_a_reported_number_is_in_percent(refused, made, tmp_path):
    said = refused("board", "add", tmp_path / "s.sqlite", "--set", made, "--reported", "0.668")
    assert "in percent" in said


def test_a_set_without_a_verdict_cannot_be_added(refused, made, tmp_path):
    Store(tmp_path / "empty.sqlite").close()
    assert "no such verdict" in refused("board", "add", tmp_path / "empty.sqlite", "--set", made)


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_or_doubled(plan, tmp_path):
    """Ten times kill -9, each a little later than the last, then one sitting to the end."""
    kills = 0
    for tenth in range(10):
        running = subprocess.Popen([*PROGRAM, "bench", "run", str(plan), "--quiet"], text=True)
        time.sleep(4 + 0.5 * tenth)
        running.send_signal(signal.SIGKILL)
        kills += running.wait() == -signal.SIGKILL
    subprocess.run([*PROGRAM, "bench", "run", str(plan), "--quiet"], check=True)
    assert kills
    found = plans.read(plan)
    assert results.progress(found).done == 2
    with Store(found.store) as store:
        assert (len(store.runs()), len(store.verdicts())) == (SUBJECTS + SHARED, 2)
