"""`fetch`: what is missing of a data set, or not as published, is got."""

from pathlib import Path

from genexp.fetch.download import Downloader
from genexp.fetch.files import Item, alone_in, put_aside
from genexp.fetch.sets import FetchableSet
from genexp.fetch.sources import Source


def fetch(
    data: FetchableSet,
    data_dir: Path,
    source: Source | None = None,
    downloader: Downloader | None = None,
    replace: bool = True,
) -> None:
    """Bring the files of `data` to their places below `data_dir`. A file that is as published is neither asked for nor touched.

    Args:
        source: another one than the set's own.
        downloader: how patient to be.
        replace: also files that are there and not as published; they are put aside. Else only those that are missing.

    Raises:
        UserError: something could not be got, or not be written.
    """
    with alone_in(data_dir / data.folder):
        wanted = [item for item in data.items if not (is_right(item, data_dir) if replace else item.lying(data_dir))]
        place = data_dir / data.folder
        if not wanted:
            print(f"{data.name}: all {len(data.items):,} files are in {place}, as published")
            return
        print(
            f"{data.name}: {len(wanted):,} of {len(data.items):,} files to {place}; {data.title}; licence {data.licence}",
            flush=True,
        )
        (source or data.source).fetch(wanted, data_dir, downloader or Downloader())
        for item in wanted:
            is_right(item, data_dir)  # what would be read instead of the file just fetched is put aside


def is_right(item: Item, data_dir: Path) -> bool:
    """Whether the form that would be read is as published. One that is not, and hides one that is, is put aside."""
    lying = item.lying(data_dir)
    if lying is None:
        return False
    if lying.sum_of(data_dir / lying.path) == lying.digest:
        return True
    rest = Item(item.forms[item.forms.index(lying) + 1 :])
    if rest.forms and is_right(rest, data_dir):
        put_aside(data_dir / lying.path)
        return True
    return False
