import json
import os

import pytest
from filelock import FileLock

import tiny
from hydrometer import students
from hydrometer.engine.data import Lens
from hydrometer.methods import compress
from hydrometer.methods.match import experts, journal
from hydrometer.methods.recording import record
from hydrometer.registry import parse
from hydrometer.seeds import numpy_rng
from hydrometer.store import trained
from hydrometer.types import Budget, HydrometerError, Spec

SOURCE = tiny.source(per_class=8)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path))
    return tmp_path


def put(home, kind, name, size=10, days=0.0):
    folder = home / kind / name
    folder.mkdir(parents=True)
    (folder / "x").write_bytes(b"a" * size)
    then = (folder / "x").stat().st_mtime - days * trained.DAY
    os.utime(folder / "x", (then, then))


def names(found):
    return [item.name for item in found]


def test_real_experts_distillations_and_recordings_are_told_with_sizes(home):
    how = experts.recipe(
        students.spec("convnet(depth=1,width=4)"),
        epochs=2,
        lr=0.02,
        batch=8,
        whiten=Spec("normalise"),
    )
    kept = experts.obtain(SOURCE, Lens(SOURCE, Spec("normalise"), tiny.CPU), how, 2)
    record(SOURCE, epochs=1)
    method = "dm(iterations=2,batch=4,checks=1,student=mlp)"
    compress(SOURCE, parse(method), Budget(per_class=1), rng=numpy_rng(0, "x"))
    told = {item.kind: item for item in trained.items()}
    assert set(told) == {"experts", "matching", "recordings"}
    files = list(kept[0].path.parent.iterdir())
    assert told["experts"].bytes == sum(f.stat().st_size for f in files)
    assert told["experts"].about.startswith(f"2 of {SOURCE.name}, convnet(")
    assert "dm(" in told["matching"].about and "2 iterations" in told["matching"].about
    assert "1 epochs" in told["recordings"].about
    assert trained.forget(told["matching"]) and not any(journal.folder().iterdir())


def test_the_largest_comes_first_and_a_card_is_no_condition(home):
    put(home, "matching", "aaa", size=5)
    put(home, "experts", "bbb", size=50)
    put(home, "elsewhere", "ccc", size=500)
    assert names(trained.items()) == ["experts/bbb", "matching/aaa"]
    assert trained.items()[0].about == ""


def test_items_are_chosen_by_kind_by_name_and_by_age(home):
    for name, days in (("aa1", 3), ("aa2", 0), ("b", 9)):
        put(home, "matching", name, days=days)
    assert len(trained.chosen(["matching"])) == 3
    assert names(trained.chosen(["matching/b", "matching/b"])) == ["matching/b"]
    assert names(trained.chosen(["matching"], days=2)) == ["matching/aa1", "matching/b"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("matching/aa", "means 2 things"),
        ("matching/zz", "means nothing"),
        ("matching/../experts", "means nothing"),
        ("sources", "no kind 'sources'; known: experts"),
        ("..", "no kind"),
    ],
)
def test_a_name_that_means_no_one_thing_is_refused(home, name, said):
    put(home, "matching", "aa1")
    put(home, "matching", "aa2")
    with pytest.raises(HydrometerError, match=said):
        trained.chosen([name])


def test_what_is_being_made_stays(home):
    put(home, "matching", "aa1")
    (item,) = trained.items()
    (home / "locks").mkdir()
    with FileLock(home / "locks" / "aa1.lock"):
        assert not trained.forget(item)
    assert item.path.is_dir()
    assert trained.forget(item) and not item.path.exists()


def test_a_draft_and_a_missing_cache_are_nothing(home):
    put(home, "recordings", "aa.part")
    assert trained.items() == []


def test_a_card_that_is_damaged_is_no_obstacle(home):
    put(home, "matching", "aa1")
    (home / "matching" / "aa1" / "progress.json").write_text(json.dumps([1]))
    assert trained.items()[0].about == ""
