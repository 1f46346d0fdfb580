"""The data sets that can be fetched: their files, sums, licences and sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from genexp.errors import unknown
from genexp.fetch import default_data_dir
from genexp.fetch.files import Form, Item
from genexp.fetch.sources import Archives, Mirrors, Source

_SEMINAR = (
    "https://codeload.github.com/Physics-Master-Computational-Physics/Scientific_Machine_Learning_for_Physics_Seminar/tar.gz"
)


@dataclass(frozen=True)
class FetchableSet:
    """A data set of files. `download` is the size in bytes of what is fetched, about."""

    name: str
    title: str
    licence: str
    folder: str
    items: tuple[Item, ...]
    source: Source
    download: int


@dataclass(frozen=True)
class Published:
    """An IDX file: size and SHA-256 of the .gz as published, and the sum of what is in it."""

    name: str
    size: int
    packed: str
    plain: str


# The sums are those that many programs list. The MD5 sums of the same .gz files, which torchvision checks, are
# f68b3c2d… d53e105e… 9fb629c4… ec29112d… for MNIST and 8d4fb7e6… 25c81989… bef4ecab… bb300cfd… for Fashion-MNIST.
_MNIST = (
    Published(
        "train-images-idx3-ubyte", 9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    Published(
        "train-labels-idx1-ubyte", 28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    Published(
        "t10k-images-idx3-ubyte", 1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    Published(
        "t10k-labels-idx1-ubyte", 4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)  # fmt: skip
_FASHION = (  # for what is in them, MD5 sums are all that is published
    Published(
        "train-images-idx3-ubyte", 26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    ),
    Published(
        "train-labels-idx1-ubyte", 29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", "9018921c3c673c538a1fc5bad174d6f9",
    ),
    Published(
        "t10k-images-idx3-ubyte", 4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", "8181f5470baa50b63fa0f6fddb340f0a",
    ),
    Published(
        "t10k-labels-idx1-ubyte", 5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", "15d484375f8d13e6eb1aabb0c3f46965",
    ),
)  # fmt: skip


def _idx_items(folder: str, files: tuple[Published, ...]) -> tuple[Item, ...]:
    return tuple(
        Item((
            Form(f"{folder}/{file.name}", file.plain, algorithm="sha256" if len(file.plain) == 64 else "md5"),
            Form(f"{folder}/{file.name}.gz", file.packed, file.size),
        ))
        for file in files
    )  # fmt: skip


def _listed_items(folder: str, manifest: Path) -> tuple[Item, ...]:
    """The files of a list as `sha256sum` writes it."""
    lines = [line.split("  ", 1) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return tuple(Item((Form(f"{folder}/{path}", digest),)) for digest, path in lines)


@cache
def fetchable() -> Mapping[str, FetchableSet]:
    """Name → data set."""
    sets = (
        FetchableSet(
            name="mnist",
            title="MNIST, by LeCun, Cortes and Burges",
            licence="CC BY-SA 3.0",
            folder="MNIST/raw",
            items=_idx_items("MNIST/raw", _MNIST),
            source=Mirrors(
                (
                    "https://ossci-datasets.s3.amazonaws.com/mnist/",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/",
                    "http://yann.lecun.com/exdb/mnist/",
                )
            ),
            download=sum(file.size for file in _MNIST),
        ),
        FetchableSet(
            name="fashion_mnist",
            title="Fashion-MNIST, by Zalando SE",
            licence="MIT",
            folder="FashionMNIST/raw",
            items=_idx_items("FashionMNIST/raw", _FASHION),
            source=Mirrors(
                (
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
                )
            ),
            download=sum(file.size for file in _FASHION),
        ),
        FetchableSet(
            name="fruit",
            title="the seminar's photographs, from Fruits-360 by Oltean",
            licence="CC BY-SA 4.0",
            folder="fruit",
            items=_listed_items("fruit", Path(__file__).with_name("fruit.sha256")),
            # a pinned commit and, should that be gone, what there is now: every file is checked, so both are equally safe
            source=Archives(
                (f"{_SEMINAR}/0a79dbe776db5986365858e7d65e131b2f50c976", f"{_SEMINAR}/HEAD"), below="VAEs/data/Fruit"
            ),
            download=6_360_333,
        ),
    )
    return {one.name: one for one in sets}


def find_set(name: str) -> FetchableSet:
    """The set called `name`; UserError where there is none to fetch."""
    if name not in fetchable():
        raise unknown("data set to fetch", name, fetchable())
    return fetchable()[name]


def is_there(name: str) -> bool:
    """Whether every file of a data set lies in the data folder. (A data set that is missing would be fetched, unasked.)"""
    return all(item.lying(default_data_dir()) for item in find_set(name).items)


def data_in_words(needs: str | None, name: str, data_dir: Path) -> str:
    """What the data set `name` is, where `needs` was wanted: real, embedded in its place, or, where nothing was, its name."""
    if needs is None:
        return name
    if name == needs:
        return f"{name}, real, from {data_dir}"
    return f"{name}, embedded, in place of {needs}"
