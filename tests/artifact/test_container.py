import json
import os
import resource
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from hydrometer import digest
from hydrometer.artifact.container import align, load, make, save
from hydrometer.types import HydrometerError

GIVEN = {"method": "random", "budget": "ipc=2", "seed": 3, "seconds": 1.5}


def rewrite(path, header, **arrays):
    with safe_open(path, framework="np") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = file.metadata()["hydrometer"]
    save_file(
        {**kept, **arrays}, path, metadata={"hydrometer": json.dumps(header(json.loads(text)))}
    )


def test_bytes_are_counted_as_stored(compressed, source, floats, labels):
    # 5 images of 3 x 8 x 6 bytes; 5 one-byte labels, 15 soft values and 5 weights of 4 bytes.
    assert compressed.card.bytes.model_dump() == {
        "images": 5 * 144,
        "labels": 5 + 60 + 20,
        "teacher": 7,
    }
    plain = make(floats, labels, source=source, **GIVEN)
    assert (plain.card.bytes.images, plain.card.bytes.labels) == (4 * 5 * 144, 5)


def test_a_label_takes_two_bytes_beyond_256_classes(make_source, floats, labels):
    for classes, size in ((256, 1), (257, 2)):
        many = make_source(classes=tuple(f"c{i}" for i in range(classes)))
        assert make(floats, labels, source=many, **GIVEN).card.bytes.labels == 5 * size


def test_digest_covers_tensors_and_class_names_only(
    compressed, source, make_source, bytes_, labels
):
    plain = make(bytes_, labels, source=source, **GIVEN)
    expected = digest.of_tensors(bytes_, labels, None, None, salt='["plane","car","bird"]')
    assert plain.digest == expected
    later = make(bytes_, labels, source=source, **{**GIVEN, "seconds": 9.0, "seed": None})
    assert later.digest == plain.digest
    other = make(bytes_, labels, source=make_source(classes=("plane", "cat", "bird")), **GIVEN)
    assert len({plain.digest, compressed.digest, other.digest}) == 3


def test_round_trip_keeps_everything(compressed, tmp_path):
    path = tmp_path / "set.safetensors"
    save(compressed, path)
    loaded = load(path)
    assert (loaded.card, loaded.digest) == (compressed.card, compressed.digest)
    for name in ("images", "labels", "soft", "weights", "index"):
        assert torch.equal(getattr(loaded, name), getattr(compressed, name))
    assert [p.name for p in tmp_path.iterdir()] == ["set.safetensors"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_file_may_be_read_by_whom_the_umask_lets(compressed, tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        save(compressed, tmp_path / "set.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "set.safetensors").stat().st_mode & 0o777 == mode


def test_the_card_lies_under_one_key_and_bytes_repeat(compressed, tmp_path):
    for name in ("a", "b", "c"):
        save(compressed, tmp_path / name)
    assert len({p.read_bytes() for p in tmp_path.iterdir()}) == 1
    with safe_open(tmp_path / "a", framework="np") as file:
        assert list(file.metadata()) == ["hydrometer"]


def test_an_empty_set_and_one_without_options_survive(source, tmp_path):
    empty = make(torch.empty(0, 3, 8, 6), torch.empty(0, dtype=torch.int64), source=source, **GIVEN)
    save(empty, tmp_path / "empty")
    loaded = load(tmp_path / "empty")
    assert len(loaded) == 0 and loaded.soft is None and loaded.index is None


def test_tensors_that_share_memory_can_be_saved(source, labels, tmp_path):
    flat = torch.rand(5 * 144 + 5)
    shared = make(flat[:720].view(5, 3, 8, 6), labels, source=source, weights=flat[720:], **GIVEN)
    save(shared, tmp_path / "set")
    assert torch.equal(load(tmp_path / "set").weights, flat[720:])


@pytest.mark.parametrize("keep", [0, 4, 100, 900])
def test_a_truncated_file_is_refused(compressed, tmp_path, keep):
    path = tmp_path / "set"
    save(compressed, path)
    assert path.stat().st_size > 900
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(HydrometerError, match="truncated or not a safetensors file"):
        load(path)


def test_an_altered_file_is_refused(compressed, tmp_path):
    path = tmp_path / "set"
    save(compressed, path)
    start = path.read_bytes().find(compressed.images.numpy().tobytes())
    raw = bytearray(path.read_bytes())
    raw[start + 10] ^= 1
    path.write_bytes(raw)
    with pytest.raises(HydrometerError, match="was altered"):
        load(path)


def test_class_names_cannot_be_swapped_on_the_card(compressed, tmp_path):
    save(compressed, tmp_path / "set")

    def swapped(header):
        header["card"]["classes"] = ["car", "plane", "bird"]
        return header

    rewrite(tmp_path / "set", swapped)
    with pytest.raises(HydrometerError, match="was altered"):
        load(tmp_path / "set")


def test_a_newer_schema_is_refused(compressed, tmp_path):
    save(compressed, tmp_path / "set")

    def newer(header):
        header["card"].update(schema_version=2, unheard_of=True)
        return header

    rewrite(tmp_path / "set", newer)
    with pytest.raises(HydrometerError, match="schema 2, newer than 1"):
        load(tmp_path / "set")


@pytest.mark.parametrize("header", [None, [], {"card": {"schema_version": 1}, "digest": "x"}])
def test_an_unreadable_card_is_refused(compressed, tmp_path, header):
    save(compressed, tmp_path / "set")
    rewrite(tmp_path / "set", lambda _: header)
    with pytest.raises(HydrometerError, match="unreadable card"):
        load(tmp_path / "set")


def test_other_files_are_refused(compressed, tmp_path):
    with pytest.raises(HydrometerError, match="no compressed set at"):
        load(tmp_path / "absent")
    (tmp_path / "text").write_text("this is no tensor file, whatever its name")
    with pytest.raises(HydrometerError, match="not a safetensors file"):
        load(tmp_path / "text")
    save_file({"images": np.zeros(3)}, tmp_path / "weights")
    with pytest.raises(HydrometerError, match="without a hydrometer card"):
        load(tmp_path / "weights")


def test_unstorable_types_in_a_file_are_refused(compressed, tmp_path):
    save(compressed, tmp_path / "set")
    rewrite(tmp_path / "set", lambda h: h, labels=np.zeros(5, dtype=np.float64))
    with pytest.raises(HydrometerError, match="labels are float64; give int64"):
        load(tmp_path / "set")


def test_a_full_disk_leaves_the_old_file_and_no_half_one(compressed, tmp_path):
    path = tmp_path / "set"
    path.write_text("before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(HydrometerError, match=f"cannot write {path}.*too large"):
            save(compressed, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    assert path.read_text() == "before"


def test_a_missing_folder_is_named(compressed, tmp_path):
    with pytest.raises(HydrometerError, match=r"cannot write .*absent/set: No such file"):
        save(compressed, tmp_path / "absent" / "set")


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_seconds_must_be_finite(source, bytes_, labels, seconds):
    with pytest.raises(HydrometerError, match="seconds is"):
        make(bytes_, labels, source=source, **{**GIVEN, "seconds": seconds})


def test_align_maps_labels_and_soft_labels_by_class_name(compressed, make_source):
    turned = make_source(classes=("bird", "plane", "car"))
    aligned = align(compressed, turned)
    for row in range(5):
        before = compressed.card.classes[compressed.labels[row]]
        assert aligned.card.classes[aligned.labels[row]] == before
        for column, name in enumerate(compressed.card.classes):
            there = aligned.soft[row, turned.classes.index(name)]
            assert there == compressed.soft[row, column]
    assert aligned.digest != compressed.digest
    assert "mapped by name" in aligned.card.notes[-1]


def test_align_leaves_a_set_in_order_alone(compressed, source):
    assert align(compressed, source) is compressed


def test_align_refuses_what_it_cannot_match(compressed, make_source):
    with pytest.raises(HydrometerError, match="car cannot be matched"):
        align(compressed, make_source(classes=("plane", "cat", "bird")))
    with pytest.raises(HydrometerError, match="images have shape"):
        align(compressed, make_source(classes=("car", "plane", "bird"), shape=(3, 6, 8)))
    broken = replace(compressed, labels=compressed.labels + 1)
    with pytest.raises(HydrometerError, match="name no class"):
        align(broken, make_source(classes=("car", "plane", "bird")))
