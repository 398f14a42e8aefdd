import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

from hydrometer.artifact.foreign import export_set, import_set
from hydrometer.artifact.formats import guess
from hydrometer.artifact.preview import sheet
from hydrometer.registry import names
from hydrometer.types import HydrometerError


def test_the_registered_formats():
    assert names("format") == ["image-folder", "indices", "parquet", "pt-dict", "pt-pair"]


def test_guess_tells_formats_apart(compressed, tmp_path):
    for name, path in (("image-folder", "a"), ("pt-pair", "b"), ("parquet", "c.parquet")):
        export_set(compressed, tmp_path / path, name)
        assert guess(tmp_path / path) == name
    assert guess(tmp_path / "b" / "images.pt") == "pt-pair"
    for name, path in (("pt-dict", "res_DM.pt"), ("indices", "i.json"), ("indices", "i.npy")):
        (tmp_path / path).touch()
        assert guess(tmp_path / path) == name


def test_guess_refuses_nothing_and_strangers(tmp_path):
    with pytest.raises(HydrometerError, match="nothing to import at"):
        guess(tmp_path / "absent")
    with pytest.raises(HydrometerError, match="looks like no known format"):
        guess(tmp_path)
    (tmp_path / "images.pt").touch()
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "a.png").touch()
    with pytest.raises(HydrometerError, match="could be image-folder or pt-pair; state the format"):
        guess(tmp_path)


def test_labels_apply_to_pairs_only_and_formats_must_exist(source, tmp_path):
    (tmp_path / "i.json").write_text("[1]")
    with pytest.raises(
        HydrometerError, match=r"unexpected keyword argument 'labels'; indices takes"
    ):
        import_set(tmp_path / "i.json", source=source, space="pixel", labels_path=tmp_path / "l.pt")
    with pytest.raises(HydrometerError, match="no format named 'parqet'; did you mean 'parquet'"):
        import_set(tmp_path / "i.json", source=source, space="pixel", format="parqet")


@pytest.mark.parametrize("name", ["image-folder", "pt-pair", "parquet"])
def test_an_unwritable_export_leaves_nothing(compressed, tmp_path, name):
    with pytest.raises(HydrometerError, match="cannot write"):
        export_set(compressed, tmp_path / "absent" / "out", name)
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "file").touch()
    with pytest.raises(HydrometerError, match="cannot write"):
        export_set(compressed, tmp_path / "busy", name)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["busy", "file"]


def test_dc_as_published(data_root, make_source, affine, tmp_path):
    ten = make_source(classes=tuple("0123456789"), shape=(3, 32, 32))
    path = data_root / "published" / "dc-cifar10-ipc1"
    made = import_set(path, source=ten, space="normalised", whitening=affine)
    assert made.labels.tolist() == list(range(10)) and made.soft is None
    assert made.card.budget == "ipc=1" and made.card.student_lr is None
    raw = torch.load(path / "images.pt", weights_only=True)
    torch.testing.assert_close(affine.whiten(made.images), raw, atol=1e-5, rtol=1e-5)
    assert made.card.notes[-1].startswith("1745 of 30720 values lie outside [0, 1]")
    assert Image.open(io.BytesIO(sheet(made))).size[1] == 4 + 10 * 68
    with pytest.raises(HydrometerError, match=r"stated space pixel: min -4\.7, max 5\.52"):
        import_set(path, source=ten, space="pixel")


def test_datm_as_published(data_root, make_source, affine):
    ten = make_source(classes=tuple("0123456789"), shape=(3, 32, 32))
    path = data_root / "published" / "datm-cifar10-ipc10"
    made = import_set(path, source=ten, space="zca", whitening=affine)
    logits = torch.load(path / "labels.pt", weights_only=True)
    assert torch.equal(made.soft, logits) and made.card.budget == "ipc=10"
    assert np.array_equal(made.labels.numpy(), logits.numpy().argmax(axis=1))
    assert made.card.student_lr == pytest.approx(0.0184, abs=1e-4)
    with pytest.raises(HydrometerError, match="outside the stated space pixel"):
        import_set(path, source=ten, space="pixel")


@pytest.mark.parametrize("name", ["image-folder", "parquet"])
def test_an_export_says_that_it_loses_the_learned_rate(compressed, tmp_path, name):
    card = compressed.card.model_copy(update={"student_lr": 0.02})
    learned = dataclasses.replace(compressed, card=card)
    assert "student_lr" in " ".join(export_set(learned, tmp_path / "set.parquet", name))
