import json

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    place = tmp_path / "cache"
    monkeypatch.setenv("HYDROMETER_CACHE", str(place))
    for kind, name, size in (("experts", "abc", 2000), ("matching", "def", 30)):
        (place / kind / name).mkdir(parents=True)
        (place / kind / name / "x").write_bytes(b"a" * size)
    return place


def test_what_is_kept_is_listed_with_sizes(succeed, home):
    out, _ = succeed("cache", "show")
    first, second, total = out.splitlines()
    assert first.split()[:2] == ["2.0", "kB"] and "experts/abc" in first
    assert "30 B" in second and total == f"2 kept in {home}, 2.0 kB"
    out, _ = succeed("cache", "show", "matching", "--json")
    (found,) = json.loads(out)
    assert (found["name"], found["bytes"]) == ("matching/def", 30)


def test_what_is_forgotten_is_gone_and_nothing_else(succeed, home):
    out, _ = succeed("cache", "forget", "experts/a", "--dry-run")
    assert out.endswith("1 would be forgotten, 2.0 kB\n") and (home / "experts" / "abc").is_dir()
    out, _ = succeed("cache", "forget", "experts", "--days", 1)
    assert out == "0 forgotten, 0 B\n"
    out, _ = succeed("cache", "forget", "experts/abc")
    assert out.endswith("1 forgotten, 2.0 kB\n")
    assert not (home / "experts" / "abc").exists() and (home / "matching" / "def").is_dir()


def test_what_is_forgotten_is_told_as_json(succeed, home):
    out, said = succeed("cache", "forget", "matching", "--json")
    (gone,) = json.loads(out)
    assert (gone["name"], gone["bytes"]) == ("matching/def", 30)
    assert "matching/def" in said and not (home / "matching" / "def").exists()


def test_a_kind_that_does_not_exist_is_one_sentence(refused):
    assert "no kind 'everything'" in refused("cache", "forget", "everything")
    assert "no kind 'everything'" in refused("cache", "show", "everything")
