"""Every mistake a user can make is answered with one sentence and exit code 2, and harms nothing."""

import errno
import os
import pickle
import sqlite3
import sys
from pathlib import Path

import pytest
import torch
from quick import bomb, evaluate, pair, pictures

from hydrometer import methods
from hydrometer.artifact import container
from hydrometer.engine import teachers
from hydrometer.methods import features
from hydrometer.store import Store

COMPRESS = ("compress", "-s", "digits", "-m", "random")
IMPORT = ("-s", "digits", "--space", "pixel")


class Code:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compress", "-s", "digitz", "-m", "random", "--ipc", 1), "did you mean 'digits'"),
        ((*COMPRESS[:4], "herdin", "--ipc", 1), "did you mean 'herding'"),
        ((*COMPRESS[:4], "herding(featuers=pixels)", "--ipc", 1), "herding takes: "),
        ((*COMPRESS[:4], "herding(features=sound)", "--ipc", 1), "known: network, pixels"),
        ((*COMPRESS[:4], "el2n(epochs=many)", "--ipc", 1), "epochs='many'"),
        ((*COMPRESS[:4], "herding((", "--ipc", 1), "cannot read 'herding(('"),
        (("list", "metods"), "did you mean 'methods'"),
        (("show", "herdin"), "did you mean 'herding'"),
        (("show", "herdin(features=pixels)"), "did you mean 'herding'"),
        (("show", "herding(features"), "cannot read 'herding(features'"),
        (("show", "ddranking-hard@9"), "did you mean 'ddranking-hard@1'"),
        (("show", "ddranking-hard@1{epochs=100"), "cannot read protocol"),
        (("show", "nowhere.safetensors"), "no compressed set at nowhere.safetensors"),
        (("--use", "nowhere.py", "list", "methods"), "no plug-in file nowhere.py"),
        (COMPRESS, "exactly one budget"),
        ((*COMPRESS, "--ipc", 1, "--fraction", 0.1), "exactly one budget"),
        ((*COMPRESS, "--ipc", 100_000), "lower the budget"),
        ((*COMPRESS, "--ipc", -1), "out of range"),
        ((*COMPRESS, "--ipc", 0), "budget ipc=0 asks for no image; give more than 0"),
        ((*COMPRESS, "--fraction", 0), "budget fraction=0.0 asks for no image"),
        ((*COMPRESS, "--bytes", "0"), "budget bytes=0 asks for no image"),
        ((*COMPRESS, "--fraction", 1e-6), "budget fraction=1e-06 is no image of the"),
        ((*COMPRESS, "--fraction", "nan"), "out of range"),
        ((*COMPRESS, "--fraction", 1.5), "out of range"),
        ((*COMPRESS, "--bytes", "a lot"), "write a size such as 200kB"),
        ((*COMPRESS, "--ipc", 1, "-o", "."), "is a folder"),
        ((*COMPRESS, "--ipc", 1, "-o", "no/set.safetensors"), "there is no folder no"),
        ((*COMPRESS, "--ipc", 1, "--manifest", "no/a.json"), "there is no folder no"),
        (("import", "nowhere", *IMPORT), "nothing to import at nowhere"),
    ],
)
def test_wrong_words_are_named(words, said, refused):
    assert said in refused(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-s", "digitz"), "did you mean 'digits'"),
        (("-s", "digits", "-p", "ddranking-hrd"), "`hydrometer list` shows all"),
        (("-s", "digits", "--student", "convnet(width=400000)"), "not enough memory"),
        (("-s", "digits", "-p", "ddranking-hard-quik@1"), "did you mean 'ddranking-hard-quick@1'"),
        (("-s", "digits", "--student", "convnett"), "did you mean 'convnet'"),
        (("-s", "digits", "--student", "convnet(depth=0)"), "greater than or equal to 1"),
        (("-s", "digits", "--epochs", 0), "at least 1"),
        (("-s", "digits", "--seeds", -3), "at least 1"),
        (("-s", "digits", "--set", "epoch=3"), "did you mean 'epochs'"),
        (("-s", "digits", "--set", "epochs"), "setting=value"),
        (("-s", "digits", "--set", "epochs=many"), "not of the right kind"),
        (("-s", "digits", "--set", "rates=-1"), "out of range"),
        (("-s", "digits", "--set", "full.least_steps=-1"), "at least 0"),
        (("-s", "digits", "--set", "optimiser=sdg"), "did you mean 'sgd'"),
        (("-s", "digits", "--set", "optimiser=sgd(momentum=much)"), "momentum='much'"),
        (("-s", "digits", "--precision", "float8"), "known: auto"),
        (
            ("-s", "digits", "--set", "epochs=5", "--epochs", 7),
            "epochs is given twice, as 7 and as 5",
        ),
        (("-s", "digits", "--set", "batch=5", "--set", "batch=6"), "batch is given twice"),
        (("-s", "digits", "--set", "batch=5,batch=6"), "batch is given twice, as 5 and as 6"),
        (("-s", "digits", "-p", "ddranking-hard-quick@1{epochs=5}", "--epochs", 6), "given twice"),
        (("-s", "digits", "-p", "ddranking-hard-quick@1{batch=5,batch=6}"), "given twice"),
        (
            ("-s", "digits", "--student", "convnet(depth=2)", "--set", "student=mlp"),
            "student is given twice, as convnet(depth=2) and as mlp; give it once",
        ),
        (("-s", "digits", "--store", "."), "is a folder"),
        (("-s", "digits", "--store", "no/runs.sqlite"), "folder must exist"),
        (("-s", "digits", "--report", "no/a.html"), "there is no folder no"),
        (("-s", "digits", "--on", "gpu"), "no executor named 'gpu'"),
        (("-s", "digits", "--on", "serial:2"), "executor serial takes no place"),
        (("-s", "digits", "--log", "tensorbord:x"), "did you mean 'tensorboard'"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["real", "dry"])
def test_wrong_evaluations_are_refused_before_any_training(words, said, dry, refused, made):
    assert said in refused("evaluate", made, *words, *dry)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--on", "gpu"), "no executor named 'gpu'"),
        (("--log", "tensorbord:x"), "did you mean 'tensorboard'"),
    ],
)
def test_unknown_tools_are_refused_by_every_dry_run(words, said, refused, tmp_path):
    (tmp_path / "plan.toml").write_text(
        '[plan]\nsources=["digits"]\nmethods=["random"]\nbudgets=["ipc=1"]\n'
        'protocols=["ddranking-hard-quick@1"]\n'
    )
    before = list(tmp_path.iterdir())
    assert said in refused("bench", "run", "plan.toml", "--dry-run", *words)
    noisy = ("noisy", "-s", "digits+symmetric:0.4", "-m", "random", "--ipc", 1, "--dry-run")
    assert said in refused(*noisy, *words)
    assert list(tmp_path.iterdir()) == before


def test_a_dry_run_opens_no_logger(succeed, made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as if it were not installed
    words = ("--dry-run", "--log", "tensorboard:events", "--log", "mlflow", "--on", "torchrun")
    assert "students to train" in succeed(*evaluate(made, *words))[0]
    assert not (tmp_path / "events").exists()


def test_an_unheard_of_name_is_answered_with_a_few_near_ones(refused):
    said = refused("show", "qqqq")
    assert said.endswith("? `hydrometer list` shows all")
    assert said.count(" or ") == 2
    assert len(said) < 150


def test_a_file_is_not_taken_for_a_folder_to_write(refused, made, tmp_path):
    (tmp_path / "man.json").write_text("{}")
    said = "man.json is a file; name a folder to write, such as man-out"
    assert said in refused("trust", "-s", "digits", "-o", "man.json")
    assert said in refused("relabel", made, "-s", "digits", "-o", "man.json")
    noisy = ("noisy", "-s", "digits+symmetric:0.4", "-m", "random", "--ipc", 1)
    assert said in refused(*noisy, "-o", "man.json")
    assert (tmp_path / "man.json").read_text() == "{}"


def test_a_set_of_another_source_is_refused(refused, tmp_path, made):
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            pictures(tmp_path / "own" / part / label, [8] * 3)
    assert "classes" in refused("evaluate", made, "-s", f"folder:{tmp_path / 'own'}")


def test_an_impossible_budget_is_refused_before_any_training(refused, monkeypatch, tmp_path):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "cache"))
    for method in ("herding", "el2n", "pca(factor=3)", "rded(factor=2)"):
        words = ("compress", "-s", "digits", "-m", method, "--ipc", 120)
        assert "lower the budget" in refused(*words)
    assert not (tmp_path / "cache").exists()


def test_typer_reports_what_is_missing(run, tmp_path):
    code, out, err = run("import", pair(tmp_path / "p"), "-s", "digits")
    assert (code, out) == (2, "")
    assert "Missing option '--space'" in err
    assert run("compres")[0] == 2
    assert run(*COMPRESS, "--ipc", "many")[0] == 2


@pytest.mark.parametrize("name", ["cifar10", "tiny-imagenet"])
def test_a_wrong_data_folder_is_named_and_nothing_downloaded(name, refused, monkeypatch, tmp_path):
    monkeypatch.setenv("HYDROMETER_DATA", str(tmp_path / "dta"))
    said = refused("compress", "-s", name, "-m", "random", "--ipc", 1)
    assert "HYDROMETER_DATA" in said
    assert str(tmp_path / "dta") in said
    assert not (tmp_path / "dta").exists()


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_set_is_refused(kept, refused, made, tmp_path):
    data = made.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(data[: int(kept * len(data))])
    for words in (("show", path), evaluate(path), ("export", path, "-o", tmp_path / "out")):
        assert "truncated" in refused(*words)


def test_an_altered_set_is_refused(refused, made, tmp_path):
    data = bytearray(made.read_bytes())
    data[-200] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(data)
    assert "altered" in refused("show", tmp_path / "bad.safetensors")


def test_a_pickle_with_code_is_refused_and_not_run(refused, tmp_path):
    folder = pair(tmp_path / "p")
    torch.save(Code(), folder / "images.pt")
    assert "contains code" in refused("import", folder, *IMPORT)
    (folder / "images.pt").write_bytes(pickle.dumps(Code(), protocol=2))
    assert "contains code" in refused("import", folder, *IMPORT)
    assert not (tmp_path / "harmed").exists()


def nan_pixels():
    images = torch.rand(10, 1, 8, 8)
    images[3, 0, 1, 2] = torch.nan
    return images


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (nan_pixels(), None, "1 values that are NaN"),
        (torch.rand(10, 3, 8, 8), None, "needs (n, 1, 8, 8)"),
        (torch.rand(10, 1, 9, 8), None, "needs (n, 1, 8, 8)"),
        (torch.rand(9, 1, 8, 8), None, "9 images but 10 labels"),
        (torch.randn(10, 1, 8, 8) * 3, None, "outside the stated space pixel"),
        (torch.rand(10, 1, 8, 8).byte(), None, "no value above 1"),
        (torch.rand(0, 1, 8, 8), torch.arange(0), "holds no images"),
        (None, torch.arange(10) + 1, "such as 10"),
        (None, torch.arange(10) - 1, "such as -1"),
        (None, torch.eye(10)[:, :7] * 2, "7 columns"),
        (None, torch.arange(10) / 2, "integers (n,) or floats (n, k)"),
        (None, {"labels": 1}, "holds a dict"),
    ],
)
def test_wrong_tensors_are_refused(images, labels, said, refused, tmp_path):
    assert said in refused("import", pair(tmp_path / "p", images, labels), *IMPORT)
    assert not (tmp_path / "set.safetensors").exists()


def test_pixels_are_not_taken_for_normalised_values(refused, tmp_path):
    folder = pair(tmp_path / "p")
    assert "choose from pixel" in refused("import", folder, "-s", "digits", "--space", "linear")
    for space in ("normalised", "zca"):
        said = refused("import", folder, "-s", "digits", "--space", space)
        assert f"outside the stated space {space}" in said


def test_images_of_mixed_or_absurd_size_are_refused(refused, tmp_path):
    mixed = pictures(tmp_path / "mixed", [8, 9])
    assert "9 x 9" in refused("import", mixed, *IMPORT)
    huge = pictures(tmp_path / "huge", [8, 8])
    bomb(huge / "1" / "a.png")
    assert "50000" in refused("import", huge, *IMPORT)
    (huge / "1" / "a.png").write_bytes(b"no image")
    assert "no readable image" in refused("import", huge, *IMPORT)


def test_a_source_of_mixed_or_absurd_size_is_refused(refused, tmp_path):
    for part in ("train", "test"):
        pictures(tmp_path / "own" / part, [8, 8])
    words = ("compress", "-s", f"folder:{tmp_path / 'own'}", "-m", "random", "--ipc", 1)
    bomb(tmp_path / "own" / "train" / "0" / "b.png")
    assert "pixels" in refused(*words)
    pictures(tmp_path / "other", [9])
    (tmp_path / "other" / "0" / "a.png").replace(tmp_path / "own" / "train" / "0" / "b.png")
    assert "one size" in refused(*words)


def test_an_existing_export_is_not_overwritten(refused, made, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert "cannot write" in refused("export", made, "-o", tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    assert "image-folder" in refused("export", made, "-f", "image-foldr", "-o", tmp_path / "a")
    assert "import-only" in refused("export", made, "-f", "pt-dict", "-o", tmp_path / "a")


def test_a_store_that_is_none_is_refused_and_left_alone(refused, made, tmp_path):
    (tmp_path / "runs.sqlite").write_text("my diary, which is no database at all")
    assert "not a store" in refused(*evaluate(made))
    assert (tmp_path / "runs.sqlite").read_text().startswith("my diary")
    with sqlite3.connect(tmp_path / "other.sqlite") as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    assert "another program" in refused(*evaluate(made, "--store", "other.sqlite"))


def test_a_budget_of_nothing_is_refused_before_any_work(refused, monkeypatch, tmp_path):
    monkeypatch.setattr(methods, "compress", None)
    for method in ("random", "herding"):
        for budget in (("--ipc", 0), ("--fraction", 0), ("--fraction", 1e-6)):
            assert "no image" in refused("compress", "-s", "digits", "-m", method, *budget)
    assert list(tmp_path.iterdir()) == []


def test_a_set_too_small_for_an_image_is_warned_of_and_not_measured(succeed, refused):
    out, err = succeed(*COMPRESS, "--bytes", 1)
    assert "0 images by random" in out
    assert "warning: no image fits into bytes=1" in err
    assert "no images to train on" in refused(*evaluate("set.safetensors"))


def test_methods_without_rows_have_no_manifest(refused):
    words = ("compress", "-s", "digits", "-m", "dm(checks=0,iterations=1)", "--ipc", 1)
    assert "no manifest" in refused(*words, "--manifest", "a.json")


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_no_half_set(refused, monkeypatch, tmp_path):
    monkeypatch.setattr(container, "save_file", full)
    assert "No space left on device" in refused(*COMPRESS, "--ipc", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_during_an_evaluation_loses_nothing(
    refused, succeed, made, monkeypatch, tmp_path
):
    add = Store.add

    def until_full(store, row):
        return add(store, row) if len(store.runs()) < 3 else full()

    with monkeypatch.context() as patched:
        patched.setattr(Store, "add", until_full)
        assert "disk is full" in refused(*evaluate(made))
    with Store(tmp_path / "runs.sqlite") as store:
        assert len(store.runs()) == 3
    assert "7 students to train" in succeed(*evaluate(made))[1]


def test_a_cache_that_cannot_be_written_is_refused_before_any_training(refused, monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", os.devnull + "/cache")
    monkeypatch.setattr(features, "_last", {})  # other tests of this process may have looked
    monkeypatch.setattr(teachers, "train", None)
    assert os.devnull in refused(*COMPRESS[:4], "herding", "--ipc", 1)


def test_a_full_disk_leaves_no_half_teacher(refused, made, monkeypatch, tmp_path):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Path, "write_bytes", full)
    protocol = "ddranking-soft-quick@1{student=mlp,teacher.epochs=1,teacher.least_steps=0}"
    assert "teacher cannot be kept" in refused("evaluate", made, "-s", "digits", "-p", protocol)
    assert list((tmp_path / "cache" / "teachers").iterdir()) == []


def test_other_refusals_of_the_system_are_sentences(refused, made, monkeypatch):
    def failing(*_):
        raise OSError(errno.EACCES, "Permission denied", "runs.sqlite")

    monkeypatch.setattr(Store, "add", failing)
    assert "no permission for runs.sqlite" in refused(*evaluate(made))


def test_an_import_refuses_impossible_rates_and_a_preview_over_its_set(tmp_path, refused):
    pair(tmp_path / "set")
    words = ("import", "set", *IMPORT)
    for rate in ("nan", "-1", "0", "inf"):
        assert "a learning rate lies above 0" in refused(*words, "--student-lr", rate)
    assert "name another --preview" in refused(*words, "-o", "same.png")
    assert not (tmp_path / "same.png").exists()
