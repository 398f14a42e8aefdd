"""The command that a page says makes it again: it can be run, and makes the same page."""

import html
import re
import shlex
from pathlib import Path

import pytest
from quick import PROTOCOL, evaluate

from hydrometer import registry

PLUGIN = """
from hydrometer.registry import register


@register("schedule")
def flat():
    return lambda progress: 1.0
"""
RD3 = (
    "rd3-quick@1{epochs=2,precision=float32,seeds=2,student=convnet(depth=1,norm=batch,width=4),"
    "teacher.epochs=1,teacher.least_steps=0}"
)


def command(page):
    """The words of the command that a page ends with."""
    told = re.findall(r"<pre><code>(hydrometer .*?)</code></pre>", page.read_text(), re.DOTALL)
    words = shlex.split(html.unescape(told[-1]))
    assert words[0] == "hydrometer"
    return words[1:]


@pytest.fixture
def plugin(monkeypatch, tmp_path):
    """A file with a plug-in that only `--use` finds; forgotten afterwards."""
    registry.names("schedule")
    monkeypatch.setitem(registry._found, "schedule", dict(registry._found["schedule"]))
    path = tmp_path / "my plug-ins.py"
    path.write_text(PLUGIN)
    return path


def test_a_page_of_odd_places_and_of_plug_ins_is_made_again(succeed, made, plugin, tmp_path):
    odd = tmp_path / "meine Müh's"
    odd.mkdir()
    subject, page = odd / "ein set.safetensors", odd / "a page.html"
    subject.write_bytes(made.read_bytes())
    words = ("--set", "schedule=flat", "--store", odd / "all runs.sqlite", "--on", "serial")
    succeed("--use", plugin, *evaluate(subject, *words, "--report", page, "-q"))
    first = page.read_text()
    again = command(page)
    page.unlink()
    registry._used.clear()
    del registry._found["schedule"]["flat"]
    _, err = succeed(*again)
    assert "nothing to train" in err
    assert page.read_text() == first


def test_a_page_of_a_bank_is_made_again(succeed, made, tmp_path):
    succeed("relabel", made, "-s", "digits", "-p", RD3, "-o", "my bank", "-q")
    words = ("evaluate", made, "-s", "digits", "-p", RD3, "--bank", "my bank")
    succeed(*words, "--report", "a.html", "-q")
    first = Path("a.html").read_text()
    again = command(Path("a.html"))
    Path("a.html").unlink()
    _, err = succeed(*again)
    assert "nothing to train" in err
    assert Path("a.html").read_text() == first


def test_the_page_of_a_store_is_made_again(succeed, made, tmp_path):
    (tmp_path / "my sets").mkdir()
    (tmp_path / "my sets" / "a.safetensors").write_bytes(made.read_bytes())
    succeed(*evaluate(made, "--store", "my runs.sqlite", "-q"))
    succeed("report", "my runs.sqlite", "--sets", "my sets", "-o", "a page.html")
    first = Path("a page.html").read_text()
    again = command(Path("a page.html"))
    assert again[-2:] == ["--sets", "my sets"]
    Path("a page.html").unlink()
    succeed(*again)
    assert Path("a page.html").read_text() == first


def test_the_page_of_an_attribution_is_made_again(succeed, made, tmp_path):
    subject = tmp_path / "a set.safetensors"
    subject.write_bytes(made.read_bytes())
    quick = PROTOCOL.replace("ddranking-hard-quick", "as-dc")
    quick = re.sub(r"full\.\w+=\d,", "", quick).replace("0.01|0.03", "0.03")
    words = ("attribute", subject, "-s", "digits", "-p", quick, "--reference", quick)
    succeed(*words, "--store", "b.sqlite", "--out", "a.html", "-q")
    again = command(Path("a.html"))
    assert again[again.index("--reference") + 1] == quick
    assert again[again.index("--store") + 1] == "b.sqlite"
    first = Path("a.html").read_text()
    _, err = succeed(*again)
    assert "nothing to train" in err
    assert Path("a.html").read_text() == first
