"""What the command line does when all is well, and when it is interrupted."""

import json
import re
import signal
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from quick import PROTOCOL, STUDENTS, evaluate, pair
from typer.main import get_command

import hydrometer
from hydrometer import cli, registry, sources
from hydrometer.artifact import container
from hydrometer.cli import doctor
from hydrometer.engine import calibration, load
from hydrometer.methods.select import manifest, observer
from hydrometer.report import text
from hydrometer.store import Store


def commands(group, *words):
    """Every command below a group, by its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *words, name)
        else:
            yield (*words, name), command


COMMANDS = dict(commands(get_command(cli.app)))
KINDS = [cli.list_.plural(kind) for kind in registry.PACKAGES]
PROGRAM = [sys.executable, "-c", "from hydrometer.cli import main; main()"]
HELP = """
import sys, time
import hydrometer
assert "torch" not in sys.modules, "import hydrometer"
from hydrometer import cli
for words in {lines!r}:
    sys.argv = ["hydrometer", *words]
    try:
        cli.main()
    except SystemExit as left:
        assert not left.code, words
    assert "torch" not in sys.modules, words
    sys.stderr.write(f"{{words}}: {{time.process_time():.2f}} s of CPU since the start\\n")
"""


@pytest.mark.parametrize("words", COMMANDS)
def test_help_explains_every_option(words, succeed):
    out, err = succeed(*words, "--help")
    assert err == ""
    for parameter in COMMANDS[words].params:
        assert parameter.help, parameter.name
        if parameter.opts[0].startswith("-"):
            assert parameter.opts[0] in out


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_speaks_json(words):
    assert any("--json" in parameter.opts for parameter in COMMANDS[words].params)


def test_the_module_runs_and_tells_its_version():
    words = [sys.executable, "-m", "hydrometer", "--version"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert (
        said == f"hydrometer {hydrometer.__version__}\n" == f"hydrometer {version('hydrometer')}\n"
    )


def test_importing_and_helping_do_without_torch():
    lines = [["--help"], *([*words, "--help"] for words in COMMANDS)]
    script = HELP.format(lines=lines)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    sys.stdout.write(done.stderr)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_listed_can_be_shown(kind, succeed):
    listed = json.loads(succeed("list", kind, "--json")[0])
    assert listed
    assert "no description" not in listed.values()
    assert succeed("list", kind)[0].count("\n") == len(listed)
    for name in listed:
        assert name in succeed("show", name)[0]


@pytest.mark.parametrize("name", ["herding", "convnet", "ddranking-hard@1", PROTOCOL])
def test_a_shown_thing_is_one_json_object(name, succeed):
    assert json.loads(succeed("show", name, "--json")[0])


def test_a_changed_protocol_keeps_its_name_and_shows_its_changes(succeed):
    out, _ = succeed("show", PROTOCOL)
    assert out.startswith(f"protocol {PROTOCOL}:")
    assert "least_steps=0" in out


def test_doctor_tells_machines_what_it_tells_people(succeed):
    facts = json.loads(succeed("doctor", "--json")[0])
    assert {"python", "torch", "device", "data", "cache"} <= set(facts)
    assert facts.pop("calibration")["calibrations"] == []
    plain = succeed("doctor")[0]
    assert all(value in plain for value in facts.values())


def test_doctor_shows_how_this_machine_trains_fastest(succeed, monkeypatch, tmp_path):
    """On a machine that others use nothing is kept, and doctor says so."""
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "ROUNDS", 2)
    monkeypatch.setattr(doctor, "USUAL", (("convnet-2", (1, 8, 8), 4),))
    for busy in (True, False):
        monkeypatch.setattr(load.Others, "disturb", lambda self, threads, busy=busy: busy)
        out, said = succeed("doctor", "--calibrate")
        assert ("nothing is kept" in said) == busy
        assert ("calibration  none" in out) == busy
    assert "batches of 4 of 1x8x8: " in out
    assert " ms [" in out
    assert out.count("<- chosen") >= 1
    (found,) = json.loads(succeed("doctor", "--json")[0])["calibration"]["calibrations"]
    assert found["contests"][0]["timed"][1]["choice"]["layout"] == "channels-last"


def test_plug_ins_come_from_a_file(succeed, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from hydrometer.registry import register\n"
        '@register("loss")\ndef of_mine():\n    """No loss at all."""\n'
    )
    assert json.loads(succeed("--use", plugin, "list", "losses", "--json")[0])["of-mine"]


def test_a_set_shows_what_is_stored_piece_by_piece_and_what_scoring_cost(succeed):
    succeed("compress", "-s", "digits", "-m", "craig", "--ipc", "2")
    shown = succeed("show", "set.safetensors")[0]
    assert "1.4 kB = images 1.3 kB (raw) + labels 20 B + weights 80 B + teacher 0 B" in shown
    seconds = container.load(Path("set.safetensors")).card.seconds
    assert f"time     {text.duration(seconds)}, scoring and its networks included" in shown
    assert seconds > observer.network(sources.load("digits")).card.seconds > 0


def test_a_budget_that_fits_no_image_is_told(succeed):
    words = ("compress", "-s", "digits", "-m", "random", "--bytes")
    out, said = succeed(*words, "10")
    assert "0 images" in out
    assert "warning: no image fits into bytes=10: a set of one takes 65 bytes" in said


def test_a_budget_in_bytes_counts_files_and_a_teacher(succeed):
    words = ("compress", "-s", "digits", "-m", "random", "--bytes", "4kB", "--codec")
    out, _ = succeed(*words, "jpeg(quality=50)", "--json")
    card = json.loads(out)["card"]
    assert card["codec"] == "jpeg(quality=50)"
    assert 3000 < card["bytes"]["images"] + card["bytes"]["labels"] <= 4000
    out, _ = succeed("show", "set.safetensors")
    assert "(jpeg(quality=50)) + labels" in out
    words = ("compress", "-s", "digits", "-m", "random", "--for", "rethink-soft-quick@1", "--json")
    out, _ = succeed(*words, "--bytes", "640kB")
    spent = json.loads(out)["card"]["bytes"]
    assert spent["teacher"] == 618_024
    assert 600_000 < sum(spent.values()) <= 640_000


def test_mistakes_of_the_codec_are_named(refused):
    words = ("compress", "-s", "digits", "-m", "random", "--bytes", "4kB")
    assert "known: raw, png, jpeg" in refused(*words, "--codec", "webp")
    assert "teacher alone takes" in refused(*words, "--for", "rethink-soft-quick@1")


def test_a_set_comes_back_from_its_manifest(succeed):
    words = ("compress", "-s", "digits", "-m", "pca(prune=random,factor=2)", "--ipc", 2)
    succeed(*words, "-o", "a.safetensors", "--manifest", "a.json")
    succeed("import", "a.json", "-s", "digits", "--space", "pixel", "-o", "b.safetensors")
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


def test_compress_tells_of_the_set_and_its_rows(succeed):
    words = ("compress", "-s", "digits", "-m", "random", "--ipc", 2, "--seed", 3)
    out, err = succeed(*words, "-o", "a.safetensors", "--manifest", "a.json", "--json")
    assert err == ""
    told = json.loads(out)
    card = told["card"]
    assert (told["images"], card["method"], card["seed"]) == (20, "random", 3)
    listed = manifest.read(Path("a.json"))
    assert (listed.set_digest, listed.seed, len(listed.index)) == (told["digest"], 3, 20)
    shown = succeed("show", "a.safetensors")[0]
    assert "20 images 1×8×8 uint8, 10 classes" in shown
    assert "as files PNG " in shown
    assert re.search(r"time     \d.*, scoring and its networks included", shown)
    assert ", JPEG q75 " in shown
    assert json.loads(succeed("show", "a.safetensors", "--json")[0]) == told
    assert "20 images by random" in succeed(*words)[0]


def test_a_second_evaluation_trains_nothing_and_says_the_same(succeed, made):
    first, said = succeed(*evaluate(made, "--json", "--report", "a.html"))
    assert f"{STUDENTS} students to train" in said
    assert said.count(" val ") == STUDENTS
    second, said = succeed(*evaluate(made, "--json"))
    assert f"all {STUDENTS} students are stored, nothing to train" in said
    assert " val " not in said
    before, after = json.loads(first), json.loads(second)
    assert before["arms"] == after["arms"]
    assert before["estimates"] == after["estimates"]
    assert (before["protocol"], before["source"]) == (PROTOCOL, "digits")
    assert {"accuracy", "hlr", "ior", "lrs"} <= set(before["estimates"])
    for estimate in before["estimates"].values():
        assert set(estimate) == {"value", "low", "high", "level", "n"}
    assert [len(arm["accuracy"]) for arm in before["arms"]] == [2, 2, 2]
    assert "<html" in Path("a.html").read_text()
    table, said = succeed(*evaluate(made, "--quiet"))
    assert said == ""
    assert f"{100 * before['estimates']['accuracy']['value']:.1f}" in table


def test_settings_can_be_changed_by_option_and_rename_the_protocol(succeed, made):
    words = ("evaluate", made, "-s", "digits", "--dry-run", "--json", "--epochs", 3, "--seeds", 2)
    more = ("--student", "ConvNet-2", "--set", "rates=0.01|0.1", "--set", "full.seeds=1")
    cost = json.loads(succeed(*words, *more)[0])
    assert cost["protocol"] == (
        "ddranking-hard-quick@1{epochs=3,full.seeds=1,rates=0.01|0.1,seeds=2,"
        "student=convnet(depth=2,norm=instance,width=128)}"
    )
    assert cost["cost"]["students"] == 9
    assert cost["cost"]["done"] == 0


def test_a_plug_in_is_shown_by_the_spelling_of_cards(succeed):
    assert succeed("show", "herding(features=pixels)")[0] == succeed("show", "herding")[0]


def test_a_setting_may_be_given_twice_alike(succeed, made):
    words = ("evaluate", made, "-s", "digits", "--dry-run", "--json", "--epochs", 3)
    base = "ddranking-hard-quick@1{epochs=3,student=convnet(depth=2,norm=instance,width=128)}"
    cost = json.loads(
        succeed(*words, "-p", base, "--set", "epochs=03", "--student", "ConvNet-2")[0]
    )
    assert cost["protocol"] == base


def test_a_dry_run_prints_its_cost_even_when_quiet(succeed, made):
    assert f"{STUDENTS} students to train" in succeed(*evaluate(made, "--dry-run", "--quiet"))[0]


def test_diverged_students_are_counted_and_the_rest_goes_on(succeed, made):
    changed = PROTOCOL.replace("0.01|0.03", "1e30")
    out, _ = succeed("evaluate", made, "-s", "digits", "-p", changed, "--json")
    arms = {arm["name"]: arm for arm in json.loads(out)["arms"]}
    assert [arms[name]["diverged"] for name in ("subject", "random", "full")] == [2, 2, 0]
    with Store("runs.sqlite") as store:
        assert {run.diverged_step is None for run in store.runs(status="diverged")} == {False}


@pytest.mark.parametrize(
    ("form", "where"),
    [("image-folder", "[bold]out"), ("pt-pair", "[red]"), ("parquet", "[b].parquet")],
)
def test_what_is_exported_comes_back(form, where, succeed, made):
    out, _ = succeed("export", made, "-f", form, "-o", where, "--json")
    assert json.loads(out)["format"] == form
    words = ("import", where, "-s", "digits", "--space", "pixel", "-o", "b.safetensors")
    told, said = succeed(*words, "--json")
    assert f"imported from {where}" in said
    first, second = container.load(made), container.load(Path("b.safetensors"))
    assert json.loads(told)["digest"] == second.digest
    images = second.images
    assert torch.equal((images * 255).round().byte() if form == "pt-pair" else images, first.images)
    assert torch.equal(second.labels, first.labels)
    assert Path("b.png").is_file()


def test_import_reads_floats_and_says_what_it_kept(succeed, tmp_path):
    images = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 1.1
    succeed("import", pair(tmp_path / "p", images), "-s", "digits", "--space", "pixel")
    shown = succeed("show", "set.safetensors")[0]
    assert "float32" in shown
    assert "lie outside [0, 1]" in shown
    assert "time     unknown\n" in shown
    assert "as files" not in shown


def test_ctrl_c_keeps_what_is_finished(made, tmp_path, succeed):
    asked = evaluate(made, "--json")
    words = [*PROGRAM, *map(str, asked)]
    # A shell's background jobs ignore Ctrl-C, and so would a student of tests that run there.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        words,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heard,
    ) as running:
        lines = []
        for line in running.stderr:
            lines.append(line)
            if line.startswith("student 2/"):
                running.send_signal(signal.SIGINT)
        out = running.stdout.read()
        code = running.wait(60)
    assert (code, out) == (130, "")
    assert lines[-1].startswith("hydrometer: stopped")
    assert "Traceback" not in "".join(lines)
    with Store(tmp_path / "runs.sqlite") as store:
        kept = {run.key for run in store.runs()}
        assert 2 <= len(kept) < STUDENTS
    out, said = succeed(*asked)
    assert f"{STUDENTS - len(kept)} students to train" in said
    arms = json.loads(out)["arms"]
    assert kept < {key for arm in arms for key in arm["runs"]}
