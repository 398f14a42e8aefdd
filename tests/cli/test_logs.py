"""`--log`: what is logged beside the store, and what happens when logging fails."""

import pytest
from quick import STUDENTS, evaluate

from hydrometer import registry
from hydrometer.store import Store


class Notebook:
    def __init__(self):
        self.runs, self.verdicts, self.closed = [], [], 0

    def run(self, run):
        self.runs.append(run.key)

    def verdict(self, verdict):
        self.verdicts.append(verdict.protocol)

    def close(self):
        self.closed += 1


@pytest.fixture
def notebook(monkeypatch):
    registry.names("logger")
    made = Notebook()
    monkeypatch.setitem(registry._found["logger"], "notebook", lambda place: made)
    return made


def test_every_student_and_verdict_is_logged_once(succeed, made, notebook, tmp_path):
    succeed(*evaluate(made, "--store", "runs.sqlite", "--log", "notebook", "--quiet"))
    with Store(tmp_path / "runs.sqlite") as store:
        assert notebook.runs == [run.key for run in store.runs()]
    assert (len(notebook.runs), len(notebook.verdicts), notebook.closed) == (STUDENTS, 1, 1)


def test_a_logger_that_fails_is_said_once_and_stops_nothing(succeed, made, notebook, monkeypatch):
    def full(run):
        raise ConnectionError("no server")

    monkeypatch.setattr(notebook, "run", full)
    _, err = succeed(*evaluate(made, "--store", "runs.sqlite", "--log", "notebook", "--quiet"))
    assert err == "no more is logged to notebook: ConnectionError: no server\n"
    assert notebook.verdicts == []


def test_an_unknown_logger_is_refused_before_anything_is_trained(refused, made, tmp_path):
    said = refused(*evaluate(made, "--store", "runs.sqlite", "--log", "wand:x", "--quiet"))
    assert "no logger named 'wand'" in said
    with Store(tmp_path / "runs.sqlite") as store:
        assert store.runs() == []
