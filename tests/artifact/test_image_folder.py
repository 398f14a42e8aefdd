import numpy as np
import pytest
import torch
from PIL import Image

from hydrometer.artifact.container import make, save
from hydrometer.artifact.foreign import export_set, import_set
from hydrometer.artifact.image_folder import folder_names
from hydrometer.types import HydrometerError


def write(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path, **options)


@pytest.fixture
def folder(tmp_path, bytes_, labels):
    """The field's layout: numbered class folders with numbered files."""
    for row, label in enumerate(labels.tolist()):
        file = f"{label:05d}/class{label:05d}_id{row:05d}.png"
        write(tmp_path / "set" / file, bytes_[row])
    return tmp_path / "set"


def refused(folder, source, match):
    out = folder.parent / "out.safetensors"
    with pytest.raises(HydrometerError, match=match):
        save(import_set(folder, source=source, space="pixel"), out)
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_numbered_folders_are_positions(folder, source, bytes_, labels):
    made = import_set(folder, source=source, space="pixel")
    order = [1, 3, 2, 0, 4]
    assert torch.equal(made.images, bytes_[order]) and torch.equal(made.labels, labels[order])
    assert "folder numbers read as positions in the class order of tiny" in made.card.notes


def test_named_folders_are_matched_by_name_not_by_sorting(folder, source, bytes_, labels):
    for number, name in enumerate(source.classes):
        (folder / f"{number:05d}").rename(folder / name)
    made = import_set(folder, source=source, space="pixel")
    assert torch.equal(made.images, bytes_[[1, 3, 2, 0, 4]])
    assert made.labels.tolist() == [0, 0, 1, 2, 2]


def test_classes_named_by_digits_go_by_name_first(folder, make_source):
    for number in range(3):
        (folder / f"{number:05d}").rename(folder / f"{number}")
    made = import_set(folder, source=make_source(classes=("2", "1", "0")), space="pixel")
    assert made.labels.tolist() == [0, 0, 1, 2, 2]
    # Folder 2, which is class 0 here, held rows 0 and 4; folder 0 held rows 1 and 3.
    assert torch.equal(
        made.images[0], import_set(folder, source=make_source(), space="pixel").images[3]
    )


@pytest.mark.parametrize("name", ["Plane", "truck", "00003", "-1", "n01440764", "²"])
def test_unresolvable_folders_are_refused(folder, source, name):
    (folder / "00002").rename(folder / name)
    refused(folder, source, rf"folder '({name}|00000)' is no class of source 'tiny'")


def test_names_and_numbers_do_not_mix(folder, source):
    (folder / "00002").rename(folder / "bird")
    refused(folder, source, "folder '00000' is no class")


def test_two_folders_of_one_number_are_refused(folder, source, bytes_):
    write(folder / "2" / "a.png", bytes_[0])
    refused(folder, source, "two class folders have the same number")


def test_mixed_sizes_are_refused(folder, source):
    write(folder / "00001" / "wide.png", torch.zeros(3, 8, 7, dtype=torch.uint8))
    refused(folder, source, r"wide\.png is 7 x 8 pixels, not 6 x 8")


def test_truncated_and_false_images_are_refused(folder, source):
    file = next((folder / "00001").iterdir())
    whole = file.read_bytes()
    for spoilt in (whole[:-60], whole[:20], b"", b"<svg/>"):
        file.write_bytes(spoilt)
        refused(folder, source, r"\.png is no readable image")


def test_a_decompression_bomb_is_refused_unread(folder, source):
    # A header that promises 60 000 x 60 000 pixels, with nothing behind it.
    file = next((folder / "00001").iterdir())
    raw = bytearray(file.read_bytes())
    raw[16:24] = np.array([60_000, 60_000], dtype=">u4").tobytes()
    file.write_bytes(raw)
    refused(folder, source, "is no readable image")


def test_modes_that_would_lose_something_are_refused(folder, source):
    Image.new("RGBA", (6, 8)).save(folder / "00001" / "clear.png")
    refused(folder, source, r"clear\.png has image mode RGBA")


def test_grey_images_become_colour_without_loss(folder, source):
    Image.new("L", (6, 8), 77).save(folder / "00001" / "a_grey.png")
    made = import_set(folder, source=source, space="pixel")
    assert (made.images[2] == 77).all()


def test_jpeg_and_strangers_are_noted(folder, source, bytes_):
    write(folder / "00001" / "x.JPEG", bytes_[0], format="JPEG")
    (folder / "00001" / "readme.txt").write_text("hello")
    made = import_set(folder, source=source, space="pixel")
    assert len(made) == 6
    assert "1 images are JPEG, which is lossy" in made.card.notes
    assert "1 files that are no images were ignored" in made.card.notes


@pytest.mark.parametrize("classes", [("plane", "car", "bird"), ("a/b", "..", "a.b")])
def test_round_trip(make_source, bytes_, labels, tmp_path, classes):
    source = make_source(classes=classes)
    made = make(bytes_, labels, source=source, method="m", budget="b", seed=0, seconds=0)
    assert export_set(made, tmp_path / "set", "image-folder") == ()
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    back = import_set(tmp_path / "set", source=source, space="pixel")
    order = labels.argsort(stable=True)
    assert torch.equal(back.images, bytes_[order]) and torch.equal(back.labels, labels[order])


def test_one_channel_round_trip(make_source, tmp_path):
    source = make_source(shape=(1, 8, 6))
    images = torch.arange(96, dtype=torch.uint8).view(2, 1, 8, 6)
    made = make(
        images, torch.tensor([0, 2]), source=source, method="m", budget="b", seed=0, seconds=0
    )
    export_set(made, tmp_path / "set", "image-folder")
    assert torch.equal(import_set(tmp_path / "set", source=source, space="pixel").images, images)


def test_floats_are_rounded_and_clipped_with_a_count(source, floats, labels, tmp_path):
    floats[0, 0, 0, :3] = torch.tensor([-0.2, 1.2, 0.5])
    soft = torch.zeros(5, 3)
    made = make(floats, labels, source=source, method="m", budget="b", seed=0, seconds=0, soft=soft)
    rounded, unkept = export_set(made, tmp_path / "set", "image-folder")
    assert "2 of 720 lay outside [0, 1] and were clipped" in rounded
    assert unkept == "not kept by image-folder: soft"
    back = import_set(tmp_path / "set", source=source, space="pixel")
    assert back.images[3, 0, 0, :3].tolist() == [0, 255, 128]


def test_folder_names_never_lead_outside():
    for bad in ("..", "../up", "a/b", "", ".hidden", "/root", "c:\\x", "a\0", "a\n"):
        assert folder_names(("ok", bad)) == ("00000", "00001")
    assert folder_names(("Cat", "cat")) == ("00000", "00001")
    assert folder_names(("aquarium fish", "t-shirt (red)")) == ("aquarium fish", "t-shirt (red)")
