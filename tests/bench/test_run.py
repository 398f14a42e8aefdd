import dataclasses
import json
import os
import sqlite3

import pytest
from filelock import FileLock

import tiny
from hydrometer import registry, verdict
from hydrometer.artifact import container
from hydrometer.bench import plan as plans
from hydrometer.bench import price, results, run, sets
from hydrometer.engine import teachers
from hydrometer.execute import Silent, serial
from hydrometer.methods import recording
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


def test_nothing_of_an_older_estimator_is_taken(plan, source, monkeypatch):
    """Neither its set nor the answer that was recorded of it."""

    def named():
        cells = [
            dataclasses.replace(plan.cells[0], trust=trust)
            for trust in (None, "cleanlab", "tad(rounds=1)")
        ]
        return [(cell.digest, sets.path_of(plan, cell, source)) for cell in cells]

    before = named()
    assert named() == before
    for change in (("TRUST_LAYOUT", "trust@older"), ("REVISED", {"cleanlab": 9, "tad": 9})):
        monkeypatch.setattr(plans, *change)
        after = named()
        assert after[0] == before[0]
        for one, other in zip(after[1:], before[1:], strict=True):
            assert one[0] != other[0] and one[1] != other[1]
        before = after
    monkeypatch.setattr(plans, "REVISED", {"cleanlab": 10, "tad": 9})
    assert [a == b for a, b in zip(named(), before, strict=True)] == [True, False, True]


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
    assert "999" in found.impossible[0].reason


@pytest.mark.parametrize("budget", ["bytes=1", "fraction=0.0001"])
def test_budgets_that_buy_no_image_are_priced_and_fail_without_a_crash(tmp_path, budget):
    plan = written(tmp_path, TEXT.replace("ipc=2", budget))
    for made in (False, True):
        found = price.price(plan, tiny.CPU, retry_failed=made)
        assert (found.cost.students, len(found.impossible)) == (0, 2)
        assert all("no image" in str(refused) for refused in found.impossible)
        ended = list(run.run(plan, tiny.CPU, Silent(), retry_failed=made))
        assert [r.status for r in ended] == ["failed", "failed"]
        assert all("no image" in r.reason for r in ended)


def test_a_store_of_a_newer_version_is_refused_untouched(plan):
    run.prepare(plan)
    Store(plan.store).close()
    with sqlite3.connect(plan.store) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = plan.store.read_bytes()
    with pytest.raises(HydrometerError, match="upgrade"):
        go(plan)
    with pytest.raises(HydrometerError, match="upgrade"):
        results.progress(plan)
    assert plan.store.read_bytes() == before
    assert not list((plan.out / "cells").iterdir())


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


def test_a_store_moved_away_opens_its_cells_again(plan, tmp_path):
    go(plan)
    copy = plan.store.read_bytes()
    runs, verdicts = held(plan)
    plan.store.rename(tmp_path / "damaged.sqlite")
    assert results.progress(plan).left == 2
    assert [r.status for r in go(plan)] == ["done", "done"]
    assert [v.arms for v in held(plan)[1]] == [v.arms for v in verdicts]
    plan.store.write_bytes(copy)
    with sqlite3.connect(plan.store) as db:
        db.execute("DELETE FROM verdicts WHERE rowid = 2")
    db.close()
    assert results.progress(plan).left == 1
    assert [r.method for r in go(plan)] == ["herding(features=pixels)"]
    assert len(held(plan)[0]) == len(runs)


def counted(monkeypatch, module, name):
    real, calls = getattr(module, name), []

    def counting(*args):
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(module, name, counting)
    return calls


def test_one_recorded_run_serves_every_score(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "cache"))
    recorded = counted(monkeypatch, recording, "_run")
    methods = ", ".join(f'"{name}(epochs=2)"' for name in ("el2n", "aum", "forgetting"))
    plan = written(tmp_path, TEXT.replace('"random", "herding(features=pixels)"', methods))
    assert [r.status for r in go(plan)] == ["done"] * 3
    assert len(recorded) == 1


SOFT = (
    "ddranking-soft-quick@1{augment=none,epochs=1,precision=float32,rates=0.01,seeds=2,"
    "student=convnet(depth=1,norm=instance,width=4),teacher.epochs=20,teacher.least_steps=0}"
)


def test_one_teacher_serves_every_cell_and_is_priced_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "cache"))
    trained = counted(monkeypatch, teachers, "_train")
    plan = written(tmp_path, TEXT.replace(PROTOCOL, SOFT))
    before = price.price(plan, tiny.CPU).cost
    assert [r.status for r in go(plan)] == ["done", "done"]
    assert len(trained) == 1
    assert before.students == len(held(plan)[0]) + 1
    monkeypatch.setattr(results, "recorded", lambda plan: {})
    after = price.price(plan, tiny.CPU).cost
    assert (after.students, after.done) == (before.students - 1, before.students - 1)


def test_a_set_that_another_process_makes_is_left_to_it(plan, source, monkeypatch):
    run.prepare(plan)
    monkeypatch.setattr(run, "WAIT_SECONDS", 0)
    name = sets.path_of(plan, plan.cells[0], source).stem
    lock = FileLock(plan.out / "locks" / f"{name}.lock")
    lock.acquire()

    class Patient(Silent):
        def say(self, text):
            if text.startswith("waiting for sets"):
                lock.release()

    ended = run.run(plan, tiny.CPU, Patient())
    assert [r.method for r in ended] == ["herding(features=pixels)", "random"]


def test_a_disk_that_fills_while_a_set_is_written_stops_the_plan(plan, monkeypatch):
    def full(*args):
        raise HydrometerError("cannot write") from OSError("No space left (os error 28)")

    monkeypatch.setattr(sets.container, "save", full)
    with pytest.raises(HydrometerError, match="cannot write"):
        go(plan)
    assert results.progress(plan).left == 2


def test_status_tells_students_and_processes_at_work(plan, monkeypatch):
    go(plan)
    with Store(plan.store) as store:
        store.claim("one", results.owners.this(), 60)
        store.claim("two", results.owners.this(), 60)
        store.claim("three", "elsewhere:7", 60)
        store.claim("four", "elsewhere:8", -1)
        store.claim("five", f"{results.owners.this().rpartition(':')[0]}:4194399", 60)
    found = results.progress(plan)
    assert (found.students, found.processes) == (7, 2)


def test_time_left_is_shared_by_the_processes_at_work(tmp_path, plan):
    go(plan)
    more = written(tmp_path, TEXT.replace('["random"', '["random", "k-center"'))
    alone = results.progress(more).seconds_left
    with Store(plan.store) as store:
        for pid in (7, 8):
            store.claim(str(pid), f"elsewhere:{pid}", 60)
    assert results.progress(more).seconds_left == pytest.approx(alone / 2)
