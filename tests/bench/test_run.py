import json
import os
import sqlite3

import pytest

import tiny
from hydrometer import registry, verdict
from hydrometer.artifact import container
from hydrometer.bench import plan as plans
from hydrometer.bench import price, results, run, sets
from hydrometer.execute import Silent, serial
from hydrometer.store import Store
from hydrometer.types import HydrometerError

PROTOCOL = (
    "ddranking-hard-quick@1{augment=none,epochs=1,full.epochs=1,full.least_steps=0,full.seeds=1,"
    "precision=float32,rates=0.01,seeds=2,student=convnet(depth=1,norm=instance,width=4)}"
)
TEXT = """
[plan]
sources = ["tiny"]
methods = ["random", "herding(features=pixels)"]
budgets = ["ipc=2"]
protocols = ['PROTOCOL']
""".replace("PROTOCOL", PROTOCOL)


@pytest.fixture(autouse=True)
def source(monkeypatch):
    registry.names("source")
    made = tiny.source(per_class=12)
    monkeypatch.setitem(registry._found["source"], "tiny", lambda place: made)
    return made


@pytest.fixture
def plan(tmp_path):
    return written(tmp_path, TEXT)


def written(folder, text, name="plan.toml"):
    (folder / name).write_text(text)
    return plans.read(folder / name)


def go(plan, **how):
    return list(run.run(plan, tiny.CPU, Silent(), **how))


def held(plan):
    with Store(plan.store) as store:
        return store.runs(), store.verdicts()


def test_cells_share_their_baselines_and_are_not_run_again(plan):
    assert [r.status for r in go(plan)] == ["done", "done"]
    runs, verdicts = held(plan)
    assert len(runs) == 2 * 2 + 2 + 1  # two subjects, one random arm, one full-data arm
    assert len(verdicts) == 2
    assert go(plan) == []
    found = results.progress(plan)
    assert (found.done, found.failed, found.left, found.seconds_left) == (2, (), 0, 0.0)


def test_training_ahead_gives_the_same_rows_in_one_go(plan, tmp_path):
    calls = []

    def counting(jobs, *rest):
        calls.append(len(jobs))
        return serial.execute(jobs, *rest)

    assert [r.status for r in go(plan, execute=counting, ahead=2)] == ["done", "done"]
    assert calls == [2 * 5, 5, 5]
    (tmp_path / "one").mkdir()
    other = written(tmp_path / "one", TEXT)
    go(other)
    assert [v.arms for v in held(plan)[1]] == [v.arms for v in held(other)[1]]
    assert len(held(plan)[0]) == len(held(other)[0])


def test_what_fails_ahead_is_recorded_by_its_cell_alone(tmp_path):
    plan = written(tmp_path, TEXT.replace('"ipc=2"', '"ipc=999", "ipc=2"'))
    assert [r.status for r in go(plan, ahead=4)] == ["failed", "done", "failed", "done"]


def test_a_failing_cell_is_recorded_and_the_rest_goes_on(tmp_path):
    plan = written(tmp_path, TEXT.replace('"ipc=2"', '"ipc=999", "ipc=2"'))
    assert [r.status for r in go(plan)] == ["failed", "done", "failed", "done"]
    found = results.progress(plan)
    assert (found.done, found.left) == (2, 0)
    assert all("asks for 999 images" in r.reason for r in found.failed)
    assert go(plan) == []
    assert [r.status for r in go(plan, retry_failed=True)] == ["failed", "failed"]


def test_a_source_that_is_not_there_fails_its_cells_alone(tmp_path):
    plan = written(tmp_path, TEXT.replace('["tiny"]', '["folder:/nowhere", "tiny"]'))
    assert [r.status for r in go(plan)] == ["failed", "failed", "done", "done"]


def test_a_bug_in_a_method_fails_its_cell_alone(plan, monkeypatch):
    def broken(*args, rng):
        raise ZeroDivisionError("no luck")

    monkeypatch.setitem(registry._found["method"], "random", broken)
    first, second = go(plan)
    assert (first.reason, second.status) == ("ZeroDivisionError: no luck", "done")


@pytest.mark.parametrize("stop", ["evaluate", "record", "save"])
def test_stopped_anywhere_it_goes_on_and_counts_nothing_twice(plan, monkeypatch, tmp_path, stop):
    module = {"evaluate": verdict, "record": results, "save": sets.container}[stop]
    real, calls = getattr(module, stop), []

    def stopping(*args, **more):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(module, stop, stopping)
        with pytest.raises(KeyboardInterrupt):
            go(plan)
    assert [r.method for r in go(plan)] == ["herding(features=pixels)"]
    runs, verdicts = held(plan)
    assert (len(runs), len(verdicts)) == (7, 2)
    (tmp_path / "whole").mkdir()
    undisturbed = written(tmp_path / "whole", TEXT)
    go(undisturbed)
    assert [v.arms for v in held(undisturbed)[1]] == [v.arms for v in verdicts]


def test_two_plans_on_one_store_share_the_work(plan, tmp_path):
    go(plan)
    text = TEXT.replace("[plan]", '[plan]\nout = "plan"').replace(
        ', "herding', ', "k-center", "herding'
    )
    other = written(tmp_path, text, "other.toml")
    assert other.store == plan.store
    assert results.progress(other).left == 1
    go(other)
    assert len(held(plan)[0]) == 7 + 2
    assert results.progress(plan).cells == results.progress(plan).done == 2


def test_a_damaged_set_is_made_again(plan, source):
    go(plan)
    path = sets.path_of(plan, plan.cells[0], source)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    made = sets.obtain(plan, plan.cells[0], source, Silent())
    assert made.digest == held(plan)[1][0].set_digest
    assert container.load(path).digest == made.digest


def test_the_price_counts_shared_work_once_and_writes_nothing(plan):
    found = price.price(plan, tiny.CPU)
    assert (found.cells, found.cost.students, found.cost.done) == (2, 7, 0)
    assert found.cost.steps == 6 * 1 + 1
    assert found.cost.seconds > 0
    assert not plan.out.exists()
    ended = run.run(plan, tiny.CPU, Silent())
    next(ended)
    ended.close()
    found = price.price(plan, tiny.CPU)
    assert (found.cells, found.cost.students - found.cost.done) == (1, 2)


def test_the_price_names_cells_that_cannot_be_run(tmp_path):
    plan = written(tmp_path, TEXT.replace('"ipc=2"', '"ipc=999"'))
    found = price.price(plan, tiny.CPU)
    assert found.cost.students == 0
    assert len(found.impossible) == 2
    assert "999" in found.impossible[0]


def test_a_store_of_a_newer_version_is_refused_untouched(plan):
    run.prepare(plan)
    Store(plan.store).close()
    with sqlite3.connect(plan.store) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = plan.store.read_bytes()
    with pytest.raises(HydrometerError, match="upgrade"):
        go(plan)
    assert plan.store.read_bytes() == before
    assert results.progress(plan).left == 2


def test_a_result_of_a_newer_version_is_refused(plan):
    first = go(plan)[0]
    path = plan.out / "cells" / f"{first.digest}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 2}))
    with pytest.raises(HydrometerError, match="newer"):
        results.progress(plan)


def test_a_half_written_result_counts_as_not_there(plan):
    first = go(plan)[0]
    path = plan.out / "cells" / f"{first.digest}.json"
    path.write_text(path.read_text()[:30])
    assert results.progress(plan).left == 1
    assert [r.digest for r in go(plan)] == [first.digest]
    assert len(held(plan)[1]) == 2


def test_a_place_that_is_no_folder_is_refused(plan):
    plan.out.write_text("in the way")
    with pytest.raises(HydrometerError, match="cannot make folder"):
        go(plan)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(plan):
    plan.out.mkdir()
    plan.out.chmod(0o500)
    with pytest.raises(HydrometerError, match="cannot make folder"):
        go(plan)


def test_a_full_disk_stops_the_plan_instead_of_failing_every_cell(plan, monkeypatch):
    def full(*args):
        raise HydrometerError("disk full") from sqlite3.OperationalError("disk full")

    monkeypatch.setattr(verdict, "evaluate", full)
    with pytest.raises(HydrometerError, match="disk full"):
        go(plan)
    assert results.progress(plan).left == 2
