from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision

from hydrometer.sources import load
from hydrometer.types import HydrometerError

pytestmark = pytest.mark.usefixtures("cache")
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)


class Downloaded:
    """Stands for CIFAR-10: leaves a file behind, as torchvision does."""

    started = 0

    def __init__(self, root, train, download):
        type(self).started += 1
        folder = Path(root) / "cifar-10-batches-py"
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "data_batch_1").exists():
            (folder / "data_batch_1").write_bytes(b"...")
        self.data = PIXELS if train else PIXELS[:20]
        self.targets = [i % 10 for i in range(len(self.data))]


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(Downloaded, "started", 0)
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Downloaded)
    return Downloaded


def test_a_download_is_decoded_once(fake, tmp_path):
    first = load("cifar10", tmp_path)
    assert (tmp_path / "cifar10" / "cifar-10-batches-py").is_dir()
    started = fake.started
    assert load("cifar10", tmp_path).digest == first.digest
    assert fake.started == started
    np.testing.assert_array_equal(first.train.images.permute(0, 2, 3, 1), PIXELS[first.train.index])
    assert first.mean == (0.4914, 0.4822, 0.4465)


def test_files_at_the_root_are_found(fake, tmp_path):
    fake(tmp_path, train=True, download=True)
    load("cifar10", tmp_path)
    assert not (tmp_path / "cifar10").exists()


def test_grey_tensors_get_a_channel(tmp_path, monkeypatch):
    class Clothes:
        def __init__(self, root, train, download):
            self.data = torch.from_numpy(PIXELS[:40, :28, :28, 0])
            self.targets = torch.arange(40) % 10
            (Path(root) / "FashionMNIST" / "raw").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", Clothes)
    by_file, by_name = load("fashion_mnist", tmp_path), load("fashion-mnist", tmp_path)
    assert by_file.digest == by_name.digest
    assert by_file.shape == (1, 28, 28)
    assert by_file.name == "fashion-mnist"
    assert torch.equal(by_file.test.images[:, 0], torch.from_numpy(PIXELS[:40, :28, :28, 0]))


@pytest.mark.parametrize(
    "error",
    [URLError("no route"), RuntimeError("File not found\nor corrupted."), IncompleteRead(b"")],
)
def test_a_failed_download_is_one_sentence(tmp_path, monkeypatch, error):
    def offline(*_, **__):
        raise error

    monkeypatch.setattr(torchvision.datasets, "CIFAR100", offline)
    with pytest.raises(
        HydrometerError, match=f"{tmp_path}.*download failed.*HYDROMETER_DATA"
    ) as told:
        load("cifar100", tmp_path)
    assert "\n" not in str(told.value)
    assert told.value.__suppress_context__


def test_cifar100_has_a_hundred_sorted_names():
    from hydrometer.sources.cifar100 import CIFAR100

    assert len(set(CIFAR100.classes)) == 100
    assert list(CIFAR100.classes) == sorted(CIFAR100.classes)
