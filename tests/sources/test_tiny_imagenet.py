import pytest

from hydrometer.sources import load
from hydrometer.types import HydrometerError

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def root(tmp_path, make_image):
    tiny = tmp_path / "tiny-imagenet-200"
    lines = []
    for wnid in ("n02", "n01", "n03"):
        for i in range(5):
            make_image(tiny / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", (64, 64))
        make_image(tiny / "val" / "images" / f"val_{wnid}.JPEG", (64, 64))
        lines.append(f"val_{wnid}.JPEG\t{wnid}\t0\t0\t62\t62\n")
    (tiny / "val" / "val_annotations.txt").write_text("".join(lines))
    (tiny / "wnids.txt").write_text("n02\nn01\nn03\n")
    (tiny / "words.txt").write_text("n01\tcrane\nn02\tcrane\nn03\tfish, finned\nn04\tnone\n")
    return tmp_path


def test_val_becomes_test(root):
    source = load("tiny_imagenet", root)
    assert source.name == "tiny-imagenet"
    assert source.classes == ("crane (n01)", "crane (n02)", "fish, finned")
    assert [len(s) for s in (source.train, source.val, source.test)] == [12, 3, 3]
    assert source.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert source.test.labels.tolist() == [1, 0, 2]


def test_an_unknown_wnid_is_named(root):
    (root / "tiny-imagenet-200" / "wnids.txt").write_text("n02\nn03\n")
    with pytest.raises(HydrometerError, match=r"names 'n01', which wnids\.txt does not"):
        load("tiny-imagenet", root)
