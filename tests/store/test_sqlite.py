import math
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from hydrometer.store import Store
from hydrometer.types import HydrometerError
from run_rows import run_of, verdict_of

WRITER = Path(__file__).parent.parent / "run_writer.py"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.sqlite"


@pytest.fixture
def store(path):
    with Store(path) as opened:
        yield opened


def start(path, name, count, shared=0):
    return subprocess.Popen(
        [sys.executable, str(WRITER), str(path), name, str(count), str(shared)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def raw(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return [db.execute(statement).fetchall() for statement in statements][-1]


def test_a_run_comes_back_as_it_was(store, path):
    run = run_of("a", diverged_step=3, status="diverged")
    assert store.add(run)
    assert store.get("a") == run
    with Store(path) as again:
        assert again.get("a") == run
    assert store.get("b") is None


def test_a_key_is_counted_once_and_the_first_row_stays(store):
    assert store.add(run_of("a", seconds=1.0))
    assert not store.add(run_of("a", seconds=2.0))
    assert [run.seconds for run in store.runs()] == [1.0]


def test_losses_of_a_diverged_run_are_kept(store):
    store.add(run_of("a", losses=(1.0, math.inf, math.nan)))
    first, second, third = store.get("a").losses
    assert (first, second) == (1.0, math.inf)
    assert math.isnan(third)


def test_get_many_finds_those_there_are(store):
    for i in range(30):
        store.add(run_of(str(i), seed=i))
    wanted = [str(i) for i in range(20, 50_000)]
    assert {key: run.seed for key, run in store.get_many(wanted).items()} == {
        str(i): i for i in range(20, 30)
    }
    assert store.get_many([]) == {}


def test_runs_are_filtered_and_in_order(store):
    for key, seed, status in [("z", 1, "done"), ("y", 0, "done"), ("x", 1, "diverged")]:
        store.add(run_of(key, seed=seed, status=status, set_digest=f"set-{key}"))
    assert [r.key for r in store.runs()] == ["z", "y", "x"]
    assert [r.key for r in store.runs(seed=1)] == ["z", "x"]
    assert [r.key for r in store.runs(seed=1, status="done")] == ["z"]
    assert [r.key for r in store.runs(set_digest="set-y")] == ["y"]
    with pytest.raises(HydrometerError, match="no filter 'colour'; known: key, set_digest"):
        store.runs(colour="red")


def test_columns_say_what_the_row_says(store, path):
    store.add(run_of("a", seed=7))
    before = time.time()
    (row,) = raw(
        path,
        "SELECT key, set_digest, source_digest, recipe_digest, seed, status, test_accuracy,"
        " created FROM runs",
    )
    assert row[:7] == ("a", "set", "source", "recipe", 7, "done", 0.3)
    assert before - 60 < row[7] <= before


def test_verdicts_come_back_in_order_and_once(store):
    first, second = verdict_of("p@1"), verdict_of("a@1")
    assert store.add_verdict(first)
    assert store.add_verdict(second)
    assert not store.add_verdict(first)
    assert store.verdicts() == [first, second]


def test_a_claim_keeps_others_out_until_released(store, path):
    with Store(path) as other:
        assert store.claim("a", "me", 60)
        assert store.claim("a", "me", 60)
        assert not other.claim("a", "you", 60)
        assert other.claim("b", "you", 60)
        other.release("a", "you")
        assert not other.claim("a", "you", 60)
        store.release("a", "me")
        assert other.claim("a", "you", 60)


def test_a_done_trial_cannot_be_claimed(store):
    store.add(run_of("a"))
    assert not store.claim("a", "me", 60)


@pytest.mark.parametrize(
    ("later", "free"),
    [(59, False), (61, True), (-59, False), (-61, True), (-1e9, True)],
    ids=["in time", "expired", "clock a little off", "clock set back", "clock lost"],
)
def test_a_claim_goes_stale_with_the_clock(store, monkeypatch, later, free):
    now = 2e9
    monkeypatch.setattr(time, "time", lambda: now)
    assert store.claim("a", "dead", 60)
    monkeypatch.setattr(time, "time", lambda: now + later)
    assert store.claim("a", "me", 60) == free


def test_a_claim_taken_over_is_not_released_by_its_former_owner(store):
    assert store.claim("a", "slow", 0)
    assert store.claim("a", "next", 60)
    store.release("a", "slow")
    assert not store.claim("a", "third", 60)


def test_rows_survive_a_killed_writer(path):
    process = start(path, "w", 100_000)
    process.stdout.readline()
    go(process)
    seen = [process.stdout.readline().split()[0] for _ in range(40)]
    process.kill()
    seen += [line.split()[0] for line in process.communicate()[0].splitlines()[:-1]]
    with Store(path) as store:
        kept = [run.key for run in store.runs()]
        assert set(seen) <= set(kept)
        assert kept == [f"w{i}" for i in range(len(kept))]
        assert len(kept) < 100_000
        assert store.add(run_of("after"))
    assert raw(path, "PRAGMA integrity_check") == [("ok",)]


def test_two_processes_lose_and_double_nothing(tmp_path):
    """Again until they overlap: on a busy machine one may be done before the other begins."""
    overlapped = (two_writers(tmp_path / f"{i}.sqlite") for i in range(8))
    assert any(overlapped), "the writers never overlapped"


def two_writers(path):
    """Whether the rows of two writers lie between each other; none of them lost or doubled."""
    writers = [start(path, name, 200, shared=50) for name in "ab"]
    for process in writers:
        assert process.stdout.readline() == "ready\n"
    for process in writers:
        go(process)
    lines = [line for p in writers for line in p.communicate(timeout=120)[0].splitlines()]
    assert [p.returncode for p in writers] == [0, 0]
    added = [key for key, new in map(str.split, lines) if new == "True"]
    with Store(path) as store:
        kept = [run.key for run in store.runs()]
    assert len(lines) == 500
    assert len(added) == len(kept) == 450
    assert set(added) == set(kept)
    order = [key[0] for key in kept if key[0] in "ab"]
    return order != sorted(order) and order != sorted(order, reverse=True)


def test_many_processes_may_create_the_store_together(path):
    writers = [start(path, name, 1) for name in "abcd"]
    for process in writers:
        process.communicate("go\n", timeout=120)
    assert [p.returncode for p in writers] == [0] * 4
    with Store(path) as store:
        assert sorted(run.key for run in store.runs()) == ["a0", "b0", "c0", "d0"]


def refused(path, message):
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(HydrometerError, match=message):
        Store(path)
    assert before == (path.read_bytes() if path.is_file() else None)
    assert not path.with_name(path.name + "-wal").exists()


def test_a_newer_store_is_refused_untouched(path):
    Store(path).close()
    raw(path, "PRAGMA user_version = 99")
    refused(path, "schema version 99, .* up to 1; upgrade hydrometer")


def test_a_database_of_another_program_is_refused_untouched(path):
    raw(path, "CREATE TABLE bookmarks (url TEXT)")
    refused(path, "another program")


def test_a_file_that_is_no_database_is_refused_untouched(path):
    path.write_text("key,accuracy\n" * 200)
    refused(path, "not a store; give another path")


def test_a_folder_is_refused(tmp_path):
    refused(tmp_path, "is a folder; name a file, such as .*runs.sqlite")


def test_a_missing_folder_is_explained(tmp_path):
    refused(tmp_path / "no" / "runs.sqlite", "folder must exist")


def test_a_damaged_store_is_explained(path):
    with Store(path) as store:
        for i in range(300):
            store.add(run_of(str(i)))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\x07" * (size - 8192))
    with pytest.raises(HydrometerError, match="damaged; put back a copy"), Store(path) as store:
        store.runs()


def test_a_damaged_page_is_found_before_it_is_read(path):
    with Store(path) as store:
        for i in range(300):
            store.add(run_of(str(i)))
        store.check()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 4096)
        file.write(b"\x07" * 4096)
    with Store(path) as store, pytest.raises(HydrometerError, match="damaged; put back a copy"):
        store.check()


def test_a_row_that_cannot_be_read_is_explained(store, path):
    store.add(run_of("a"))
    raw(path, "UPDATE runs SET json = '{\"key\": 1}'")
    with pytest.raises(HydrometerError, match="has a run that cannot be read"):
        store.runs()


def test_who_holds_a_claim_cannot_be_read_from_a_damaged_store(store):
    store._db.execute("DROP TABLE claims")
    with pytest.raises(HydrometerError, match="claims"):
        store.claimant("a")


def test_a_full_disk_is_explained_and_loses_nothing(store):
    store._db.execute("PRAGMA max_page_count = 16")
    with pytest.raises(HydrometerError, match="disk is full; free some space"):
        for i in range(1000):
            store.add(run_of(str(i)))
    kept = len(store.runs())
    assert 0 < kept < 1000
    store._db.execute("PRAGMA max_page_count = 100000")
    assert store.add(run_of("after"))
    assert len(store.runs()) == kept + 1


def test_a_read_only_store_is_explained(store):
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(HydrometerError, match="read-only; copy it"):
        store.add(run_of("a"))


def holder_of(path):
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    return closing(holder)


def test_a_lock_is_waited_for_and_then_explained(path):
    with Store(path, wait_seconds=0.1) as store, holder_of(path):
        with pytest.raises(HydrometerError, match="another process has kept it locked"):
            store.add(run_of("a"))
        assert store.runs() == []


def test_locks_are_waited_for_where_sqlite_does_not(store, path):
    store._db.execute("PRAGMA busy_timeout = 0")
    with holder_of(path) as holder:
        timer = threading.Timer(0.2, holder.execute, ["COMMIT"])
        timer.start()
        assert store.add(run_of("a"))
        timer.join()
