import sys

import pytest
from typer.testing import CliRunner

from hydrometer import cli


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command line in an empty folder: exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def called(*words):
        monkeypatch.setattr(sys, "argv", ["hydrometer", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        printed = capsys.readouterr()
        return left.value.code or 0, printed.out, printed.err

    return called


@pytest.fixture
def succeed(run):
    """Run a command line that must succeed: standard output and standard error."""

    def called(*words):
        code, out, err = run(*words)
        assert code == 0, err
        return out, err

    return called


@pytest.fixture
def refused(run):
    """Run a command line that must be refused: the one sentence it says."""

    def called(*words):
        code, out, err = run(*words)
        said = [line for line in err.splitlines() if line.startswith("hydrometer: ")]
        assert (code, out, len(said)) == (2, "", 1), err
        assert err.endswith(said[0] + "\n")
        return said[0]

    return called


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A set of ten random digits."""
    path = tmp_path_factory.mktemp("made") / "set.safetensors"
    words = ["compress", "-s", "digits", "-m", "random", "--ipc", "1", "--out", str(path)]
    assert CliRunner().invoke(cli.app, words).exit_code == 0
    return path
