import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hydrometer.sources.cache import cached
from hydrometer.sources.parts import Part, in_memory
from hydrometer.types import HydrometerError


@pytest.fixture
def raw(tmp_path) -> Path:
    path = tmp_path / "raw"
    path.mkdir()
    (path / "data.bin").write_bytes(b"raw")
    return path


def no_decoding():
    pytest.fail("decoded although the cache was whole")


def load(raw: Path, decode, **options):
    return cached("toy:somewhere", raw, sorted(raw.iterdir()), decode, **options)


def only_file(cache: Path) -> Path:
    (file,) = cache.iterdir()
    return file


def assert_same(a, b):
    assert (a.digest, a.classes, a.mean, a.std, a.val_rule) == (
        b.digest, b.classes, b.mean, b.std, b.val_rule,
    )  # fmt: skip
    for split in ("train", "val", "test"):
        for field in ("images", "labels", "index"):
            x, y = (getattr(getattr(s, split), field) for s in (a, b))
            assert x.dtype == y.dtype
            assert torch.equal(x, y)


def test_what_is_cached_is_what_memory_holds(cache, raw, make_parts):
    found = load(raw, make_parts)
    assert found.name == "toy:somewhere"
    assert_same(found, in_memory("toy", make_parts()))


def test_the_second_load_does_not_decode(cache, raw, make_parts):
    assert_same(load(raw, make_parts), load(raw, no_decoding))


def test_the_file_is_ordinary_safetensors(cache, raw, make_parts):
    source = load(raw, make_parts)
    tensors = load_file(only_file(cache))
    assert torch.equal(tensors["val.images"], source.val.images)
    assert torch.equal(tensors["train.index"], source.train.index)


def test_class_names_of_any_length_and_script_fit(cache, raw, make_parts):
    classes = ('"quoted\\"' * 3000, "été 猫" * 3000, "c")
    assert load(raw, lambda: make_parts(classes=classes)).classes == classes
    assert load(raw, no_decoding).classes == classes


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
def test_no_pixel_is_read_at_load(cache, raw, make_parts):
    load(raw, lambda: make_parts(train=300, shape=(3, 128, 128)))
    source = load(raw, no_decoding)
    before = resident(only_file(cache))
    source.train.images.sum()
    assert before < 2**20 < 270 * 3 * 128 * 128 <= resident(only_file(cache))


def resident(file: Path) -> int:
    """Bytes of the file that this process has touched in the maps of its latest load."""
    smaps = Path("/proc/self/smaps").read_text()
    found = re.findall(rf"{re.escape(str(file))}\nSize:.*\n(?:.*\n){{2}}Rss:\s+(\d+) kB", smaps)
    assert found
    return max(map(int, found)) * 1024


@pytest.mark.parametrize("keep", [0, 5, 2000, -1])
def test_a_truncated_cache_is_rebuilt(cache, raw, make_parts, keep):
    load(raw, make_parts)
    file = only_file(cache)
    file.write_bytes(file.read_bytes()[:keep])
    assert_same(load(raw, make_parts), in_memory("toy", make_parts()))
    load(raw, no_decoding)


@pytest.mark.parametrize("damage", [b"not a header at all", b"\xff" * 64])
def test_a_corrupt_header_is_rebuilt(cache, raw, make_parts, damage):
    load(raw, make_parts)
    file = only_file(cache)
    file.write_bytes(damage + file.read_bytes()[len(damage) :])
    assert_same(load(raw, make_parts), in_memory("toy", make_parts()))


def test_a_foreign_file_in_its_place_is_rebuilt(cache, raw, make_parts):
    load(raw, make_parts)
    save_file({"images": torch.zeros(3)}, only_file(cache))
    assert_same(load(raw, make_parts), in_memory("toy", make_parts()))


def test_a_broken_cache_is_removed_even_if_decoding_fails(cache, raw, make_parts):
    def fail():
        raise HydrometerError("raw files are gone")

    load(raw, make_parts)
    only_file(cache).write_bytes(b"half")
    with pytest.raises(HydrometerError, match="gone"):
        load(raw, fail)
    assert list(cache.iterdir()) == []


def test_changed_raw_files_are_decoded_again(cache, raw, make_parts):
    load(raw, make_parts)
    (raw / "data.bin").write_bytes(b"raw, but longer")
    changed = load(raw, lambda: make_parts(train=60))
    assert len(changed.train) == 54
    only_file(cache)


def test_variants_live_side_by_side(cache, raw, make_parts):
    small, large = (load(raw, lambda n=n: make_parts(train=n), variant=str(n)) for n in (30, 90))
    assert (len(small.train), len(large.train)) == (27, 81)
    assert len(load(raw, no_decoding, variant="30").train) == 27


def test_an_interruption_leaves_nothing(cache, raw, make_parts):
    def interrupted():
        yield from parts.test.images[:1]
        raise KeyboardInterrupt

    parts = make_parts()
    broken = type(parts)(
        parts.train, Part(parts.test.labels, interrupted()), parts.classes, parts.shape
    )
    with pytest.raises(KeyboardInterrupt):
        load(raw, lambda: broken)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_names_the_variable(tmp_path, raw, make_parts, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(HydrometerError, match=r"below.*set HYDROMETER_CACHE"):
        load(raw, make_parts)
