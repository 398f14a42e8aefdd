import numpy as np
import pytest
import torch

from hydrometer.artifact.foreign import export_set, import_set
from hydrometer.types import HydrometerError


@pytest.fixture
def file(tmp_path, floats, labels):
    """Two experiments in the authors' layout, with accuracies as numpy floats."""
    path = tmp_path / "res_DC_CIFAR10_ConvNet_1ipc.pt"
    data = [[floats.flip(0), labels.flip(0)], [floats, labels]]
    torch.save({"data": data, "accs_all_exps": {"ConvNet": [np.float64(0.28), 0.3]}}, path)
    return path


def test_the_last_experiment_is_read(file, source, floats, labels):
    made = import_set(file, source=source, space="pixel")
    assert torch.equal(made.images, floats) and torch.equal(made.labels, labels)
    assert "experiment 2 of 2 in the file" in made.card.notes


def test_another_experiment_can_be_chosen(file, source, floats):
    made = import_set(file, source=source, space="pixel", format="pt-dict(which=0)")
    assert torch.equal(made.images, floats.flip(0))
    assert "experiment 1 of 2 in the file" in made.card.notes


def test_numpy_floats_under_their_old_address_load(file, source, labels):
    raw = file.read_bytes()
    # Same length, so that the archive stays whole; the address is what numpy 1 wrote.
    old = b"numpy.core.multiarray\nscalar"
    new = b"numpy._core.multiarray\nscalar"
    assert new in raw and len(old) == len(new) - 1
    data = [[torch.rand(5, 3, 8, 6), labels]]
    torch.save({"data": data, "accs": np.float64(1)}, file, _use_new_zipfile_serialization=False)
    raw = file.read_bytes()
    assert new in raw
    file.write_bytes(raw.replace(new, old))
    assert torch.equal(import_set(file, source=source, space="pixel").labels, labels)


def test_other_numpy_things_are_refused(file, source, floats, labels):
    torch.save({"data": [[floats, labels]], "curve": np.zeros(3)}, file)
    with pytest.raises(HydrometerError, match=r"contains code; refused \(numpy\._core"):
        import_set(file, source=source, space="pixel")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"images": torch.zeros(3)}, r"no dictionary with a list of experiments under 'data'"),
        ({"data": []}, r"no dictionary with a list"),
        (torch.zeros(3), r"read as pt-pair"),
        ({"data": [[torch.zeros(3)]]}, r"no \[images, labels\] pair"),
        ({"data": [["a", "b"]]}, r"holds a str where a tensor is needed"),
    ],
)
def test_other_layouts_are_refused(file, source, content, match):
    torch.save(content, file)
    with pytest.raises(HydrometerError, match=match):
        import_set(file, source=source, space="pixel")


def test_a_missing_experiment_and_export_are_refused(file, source, compressed, tmp_path):
    with pytest.raises(HydrometerError, match=r"which=2, but .* holds 2 experiments"):
        import_set(file, source=source, space="pixel", format="pt-dict(which=2)")
    with pytest.raises(HydrometerError, match="import-only; export to: image-folder, parquet, pt-"):
        export_set(compressed, tmp_path / "out.pt", "pt-dict")
