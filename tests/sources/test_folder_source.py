import numpy as np
import pytest
import torch
from PIL import Image

from hydrometer.sources import image_files, load
from hydrometer.types import HydrometerError

pytestmark = pytest.mark.usefixtures("cache")


def test_images_labels_and_splits(make_folder):
    root = make_folder()
    source = load(f"folder:{root}")
    assert source.name == f"folder:{root}"
    assert source.classes == ("cat", "dog")
    assert source.shape == (3, 4, 6)
    assert [len(s) for s in (source.train, source.val, source.test)] == [22, 2, 6]
    files = sorted((root / "train").rglob("*.png"))
    for split in (source.train, source.val):
        for image, label, row in zip(split.images, split.labels, split.index, strict=True):
            np.testing.assert_array_equal(
                image.permute(1, 2, 0), np.asarray(Image.open(files[row]))
            )
            assert files[row].parent.name == source.classes[label]
    assert source.test.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_relative_path_is_found_below_the_root(make_folder):
    root = make_folder()
    assert load("folder:pets", root.parent).digest == load(f"folder:{root}").digest


def test_the_second_load_decodes_nothing(make_folder, monkeypatch):
    root = make_folder()
    first = load(f"folder:{root}")
    monkeypatch.setattr(image_files.decode, "batches", None)
    second = load(f"folder:{root}")
    assert second.digest == first.digest
    assert torch.equal(second.train.images, first.train.images)


def test_val_stands_in_for_a_test_folder_without_classes(make_folder, make_image):
    root = make_folder(test="val")
    make_image(root / "test" / "images" / "unlabelled.png")
    assert len(load(f"folder:{root}").test) == 6


def test_grey_folders_have_one_channel(make_folder):
    assert load(f"folder:{make_folder(mode='L')}").shape == (1, 4, 6)


def test_readable_names(make_folder):
    root = make_folder()
    (root / "classes.txt").write_text("dog\tgood boy\nno tab here\n")
    assert load(f"folder:{root}").classes == ("cat", "good boy")


def test_mixed_sizes_are_an_error_with_a_way_out(make_folder, make_image):
    root = make_folder()
    make_image(root / "train" / "dog" / "wide.png", size=(20, 10))
    with pytest.raises(HydrometerError, match=r"cat00\.png is 6×4, but .*wide\.png is 20×10"):
        load(f"folder:{root}")
    source = load(f"folder:{root}@8")
    assert source.shape == (3, 8, 8)
    assert source.name == f"folder:{root}@8"


@pytest.mark.parametrize("size", [0, 99999])
def test_an_impossible_size_is_refused(make_folder, size):
    with pytest.raises(HydrometerError, match=f"size {size}"):
        load(f"folder:{make_folder()}@{size}")


def test_a_corrupt_image_is_named(make_folder):
    root = make_folder()
    (root / "test" / "cat" / "catt1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(HydrometerError, match=r"catt1\.png cannot be decoded"):
        load(f"folder:{root}")


def test_a_class_without_images_is_named(make_folder):
    root = make_folder()
    (root / "train" / "emu").mkdir()
    with pytest.raises(HydrometerError, match="no train image of class 'emu'"):
        load(f"folder:{root}")


def test_a_class_only_in_test_is_named(make_folder, make_image):
    root = make_folder()
    make_image(root / "test" / "emu" / "emu.png")
    with pytest.raises(HydrometerError, match="emu is a class that train/ has not"):
        load(f"folder:{root}")


def test_missing_parts_are_named(make_folder):
    with pytest.raises(HydrometerError, match="needs test/ or val/ or validation/"):
        load(f"folder:{make_folder(name='a', test='elsewhere')}")
    (make_folder(name="b") / "train").rename(root := make_folder(name="c") / "train" / "cat" / "d")
    with pytest.raises(HydrometerError, match="needs train/<class>/ folders"):
        load(f"folder:{root.parents[3] / 'b'}")
    with pytest.raises(HydrometerError, match="needs a folder for every class"):
        load(f"folder:{root / 'cat'}")


@pytest.mark.parametrize("emptied", [False, True])
def test_a_class_that_would_not_be_tested_is_named(make_folder, emptied):
    root = make_folder()
    for path in (root / "test" / "dog").iterdir():
        path.unlink()
    if not emptied:
        (root / "test" / "dog").rmdir()
    with pytest.raises(HydrometerError, match="class dog would not be tested"):
        load(f"folder:{root}")


def test_a_folder_of_classes_alone_is_cut(make_folder):
    root = make_folder(train=20) / "train"
    (root / "notes.txt").write_text("no class")
    source = load(f"folder:{root}")
    assert source.classes == ("cat", "dog")
    assert [len(s) for s in (source.train, source.val, source.test)] == [28, 4, 8]
    assert source.test.labels.tolist() == [0] * 4 + [1] * 4
    known = [s.images.flatten(1) for s in (source.train, source.val, source.test)]
    assert len(torch.cat(known).unique(dim=0)) == 40
    assert load(f"folder:{root}").digest == source.digest


def test_tiny_imagenet_20(data_root):
    source = load("folder:tiny_imagenet_20", data_root)
    assert [len(s) for s in (source.train, source.val, source.test)] == [2700, 300, 1000]
    assert source.shape == (3, 64, 64)
    assert source.classes[:2] == ("goldfish, Carassius auratus", "centipede")
    assert source.test.labels.bincount().tolist() == [50] * 20
    assert source.val.labels.bincount().tolist() == [15] * 20
