import os
from pathlib import Path

import pytest

from hydrometer import registry


@pytest.fixture(autouse=True, scope="session")
def _private_cache(tmp_path_factory):
    """Keep decoded caches and teachers of a test session out of the user's home."""
    os.environ["HYDROMETER_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _no_plug_in_files(monkeypatch):
    """Files that a test loads with `use` are named in no command of a later one."""
    monkeypatch.setattr(registry, "_used", [])


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The real data folder, or a skip that says what is missing."""
    root = os.environ.get("HYDROMETER_DATA")
    if not root or not (Path(root) / "cifar10" / "train.parquet").is_file():
        pytest.skip("HYDROMETER_DATA does not point to the real data (cifar10/train.parquet)")
    return Path(root)
