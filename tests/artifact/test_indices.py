import json

import numpy as np
import pytest
import torch

from hydrometer.artifact.foreign import import_set
from hydrometer.types import HydrometerError

ROWS = [7, 2, 11]


def image_of(source, row):
    for split in (source.train, source.val):
        for position, original in enumerate(split.index.tolist()):
            if original == row:
                return split.images[position], int(split.labels[position])
    raise AssertionError(row)


def written(folder, kind, rows=ROWS):
    path = folder / f"kept{kind}"
    if kind == ".npy":
        np.save(path, np.array(rows))
    else:
        path.write_text(json.dumps(rows) if kind == ".json" else "\n".join(map(str, rows)))
    return path


@pytest.mark.parametrize("kind", [".npy", ".json", ".txt"])
def test_rows_are_original_rows_in_the_order_given(source, tmp_path, kind):
    made = import_set(written(tmp_path, kind), source=source, space="pixel")
    assert made.index.tolist() == ROWS and made.images.dtype == torch.uint8
    for position, row in enumerate(ROWS):
        image, label = image_of(source, row)
        assert torch.equal(made.images[position], image) and made.labels[position] == label
    assert not any("val" in note for note in made.card.notes)


def test_rows_of_val_are_kept_and_counted(source, tmp_path):
    made = import_set(written(tmp_path, ".npy", [8, 7, 0]), source=source, space="pixel")
    for position, row in enumerate([8, 7, 0]):
        image, label = image_of(source, row)
        assert torch.equal(made.images[position], image) and made.labels[position] == label
    assert any(note.startswith("2 of 3 rows are in val of tiny") for note in made.card.notes)


def test_repeated_rows_are_noted(source, tmp_path):
    made = import_set(written(tmp_path, ".json", [7, 7, 7, 2]), source=source, space="pixel")
    assert len(made) == 4 and "2 rows repeat an earlier one" in made.card.notes


def test_weights_come_from_json_or_a_file(source, tmp_path, monkeypatch):
    (tmp_path / "kept.json").write_text('{"indices": [7, 2], "weights": [0.5, 2]}')
    made = import_set(tmp_path / "kept.json", source=source, space="pixel")
    assert made.weights.tolist() == [0.5, 2.0]
    np.save(tmp_path / "w.npy", np.array([1.0, 0.25, 3.0]))
    monkeypatch.chdir(tmp_path)
    made = import_set(
        written(tmp_path, ".npy"), source=source, space="pixel", format="indices(weights=w.npy)"
    )
    assert made.weights.tolist() == [1.0, 0.25, 3.0]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[1, 12]", r"row 12 is not in the train part of 'tiny', whose rows go from 0 to 11"),
        ("[1, -1]", r"row -1 is not in the train part"),
        ("[1.5, 2]", r"holds fractions where row numbers are needed"),
        ("[[1], [2]]", r"is no list of numbers \(shape \(2, 1\)"),
        ('["a"]', r"is no list of numbers"),
        ('{"rows": [1]}', r"the dictionary has no 'indices'"),
        ("[1, 2", r"is no list of numbers"),
        ("[]", r"holds fractions|holds no images"),
        ('{"indices": [1, 2], "weights": [1]}', r"there are 2 images but 1 weights"),
        ('{"indices": [1, 2], "weights": [1, -1]}', r"weights go down to -1"),
    ],
)
def test_each_spoilt_list_has_its_sentence(source, tmp_path, text, match):
    path = tmp_path / "kept.json"
    path.write_text(text)
    with pytest.raises(HydrometerError, match=match):
        import_set(path, source=source, space="pixel")


def test_pickled_arrays_are_refused(source, tmp_path):
    np.save(tmp_path / "kept.npy", np.array([{"indices": [1]}], dtype=object), allow_pickle=True)
    with pytest.raises(HydrometerError, match="is no list of numbers"):
        import_set(tmp_path / "kept.npy", source=source, space="pixel")


def test_whitened_rows_make_no_sense(source, tmp_path, affine):
    with pytest.raises(HydrometerError, match="uint8, which cannot be zca"):
        import_set(written(tmp_path, ".npy"), source=source, space="zca", whitening=affine)
