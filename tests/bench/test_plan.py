import subprocess
import sys

import pytest

from hydrometer.bench import names
from hydrometer.bench import plan as plans
from hydrometer.types import HydrometerError

GOOD = """
[plan]
name = "two"
sources = ["digits"]
methods = [
    "random",
    "herding( features = pixels )",
]
budgets = ["ipc=1", "fraction=0.01", "bytes=2kB"]
protocols = ["as-dc@1", "ddranking-hard@1{seeds=3}"]
students = ["ConvNet-3", "convnet(depth=2)"]
seeds = [0, 1]
"""


def written(folder, text):
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def test_axes_are_crossed(tmp_path):
    found = plans.read(written(tmp_path, GOOD))
    assert len(found.cells) == len(set(found.cells)) == 1 * 2 * 3 * 2 * 4
    assert {c.method for c in found.cells} == {"random", "herding(features=pixels)"}
    assert {c.budget for c in found.cells} == {"ipc=1", "fraction=0.01", "bytes=2000"}
    assert {c.student for c in found.cells} == {"ConvNet-3", "convnet(depth=2)"}
    judges = {names.protocol(c).name for c in found.cells}
    three = "convnet(depth=3,norm=instance,width=128)"
    assert f"ddranking-hard@1{{seeds=3,student={three}}}" in judges
    assert (found.out, found.store) == (tmp_path / "two", tmp_path / "two" / "runs.sqlite")


def test_two_spellings_of_one_cell_are_one_cell(tmp_path):
    text = GOOD.replace('"bytes=2kB"', '"bytes=2kB", "bytes=2000"').replace(
        '"random"', '"random", " random"'
    )
    text = text.replace("seeds=3}", "seeds=3}', ' ddranking-hard@1{ seeds = 3 }").replace(
        '"ddr', "'ddr"
    )
    text = text.replace('}"]', "}']")
    assert plans.read(written(tmp_path, text)).cells == plans.read(written(tmp_path, GOOD)).cells


def test_everything_unknown_is_said_at_once_with_its_line(tmp_path):
    text = (
        GOOD.replace('"random"', '"randem"')
        .replace('["digits"', '["digit", "digits+symetric:0.4"')
        .replace('"ipc=1"', '"icp=1"')
        .replace("as-dc@1", "asdc@1")
        .replace("features", "featurs")
        .replace("ConvNet-3", "ConfNet-3")
        .replace("[0, 1]", "[0, 1.5]")
        + "budget = 3\n"
    )
    with pytest.raises(HydrometerError) as caught:
        names.read(written(tmp_path, text))
    said = str(caught.value)
    for line, word in (
        (4, "no source named 'digit', did you mean 'digits'?"),
        (4, "'symmetric'"),
        (6, "no method named 'randem', did you mean 'random'?"),
        (7, "method herding has no argument 'featurs'"),
        (9, "cannot read budget 'icp=1'"),
        (10, "no protocol named 'asdc@1', did you mean 'as-dc@1'?"),
        (11, "'ConfNet-3'"),
        (12, "seeds must be a list of whole numbers"),
        (13, "no key named 'budget', did you mean 'budgets'?"),
    ):
        faults = [fault for fault in said.split("line ") if fault.startswith(f"{line}: ")]
        assert any(word in fault for fault in faults), said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[plan", "not TOML"),
        ("x = 1", "no table"),
        ('[plan]\nsources = []\nmethods = "random"', "line 3: methods must be a list"),
        ("[plan]", "line 1: budgets is missing"),
        (GOOD.replace('"ipc=1"', '"fraction=2"'), "line 9: .*out of range"),
        (GOOD.replace('"ipc=1"', '"ipc=0"'), "line 9: budget ipc=0 asks for no image"),
        (GOOD.replace('"ipc=1"', '"bytes=0"'), "line 9: budget bytes=0 asks for no image"),
    ],
)
def test_malformed_plans_are_refused(tmp_path, text, said):
    with pytest.raises(HydrometerError, match=said):
        plans.read(written(tmp_path, text))


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "..", ".", "a/b", "a/", r"a\\b", "C:evil", r"a\nb", r"a\u0000"]
)
def test_a_name_cannot_leave_the_folder_of_the_plan(tmp_path, name):
    axes = GOOD.partition("sources")[2]
    text = f'[plan]\nname = "{name}"\nsources{axes}'
    with pytest.raises(HydrometerError, match=r"line 2: name .* is not a plain file name"):
        plans.read(written(tmp_path, text))
    plain = plans.read(written(tmp_path, f'[plan]\nname = "my plan ü.v2"\nsources{axes}'))
    assert plain.out == tmp_path / "my plan ü.v2"


def test_a_missing_plan_is_refused(tmp_path):
    with pytest.raises(HydrometerError, match="cannot read plan"):
        plans.read(tmp_path / "none.toml")


def test_reading_a_plan_imports_neither_torch_nor_scipy(tmp_path):
    plan = written(tmp_path, GOOD)
    script = f"""
import sys
from hydrometer.cli import main
sys.argv = ["hydrometer", "bench", "status", {str(plan)!r}]
try:
    main()
finally:
    sys.exit(bool({{"torch", "scipy", "numpy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "0 of 48 cells done" in done.stdout
