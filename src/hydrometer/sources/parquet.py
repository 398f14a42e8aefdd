"""A folder of parquet files of one's own."""

from __future__ import annotations

from hydrometer.registry import register
from hydrometer.sources import tables
from hydrometer.sources.cache import cached
from hydrometer.sources.place import Place
from hydrometer.types import HydrometerError, Source


@register("source")
def parquet(place: Place) -> Source:
    """The images of `parquet:PATH`, in the layout of Hugging Face datasets.

    PATH or PATH/data holds `train*.parquet` and `test*.parquet`, or `validation*.parquet` in its
    place. The image column is `img` or `image`, the label column `label`; class names come from the
    schema, else they are "0", "1", …

    Raises:
        HydrometerError: A file or column is missing, or images differ in size.
    """
    folder = place.folder("parquet")
    train, test = tables.find(folder)
    if not train:
        raise HydrometerError(
            f"{folder} needs train*.parquet and test*.parquet (or validation*.parquet), "
            f"in itself or in {folder / 'data'}"
        )
    return cached(
        f"parquet:{place.path}",
        folder,
        [*train, *test],
        lambda: tables.read(train, test, ("label",)),
    )
