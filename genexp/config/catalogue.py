"""What there is to run: the YAML files under conf/, one line each. Light enough for instant answers: nothing is composed."""

from collections.abc import Sequence
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"

GROUPS = ("experiment", "dataset", "model", "trainer")
COMPONENTS = ("dataset", "model")  # which may have parts: the folders below theirs
KINDS = {"experiments": "experiment", "datasets": "dataset", "models": "model", "parts": ""}


def entries(kind: str, config_dirs: Sequence[Path] = ()) -> dict[str, str]:
    """As typed → one line of description: names of `experiments`, `datasets` or `models`; `model/prior=flow` of `parts`."""
    if kind == "parts":
        paths = {f"{group}={name}": path for group in parts(config_dirs) for name, path in _files(group, config_dirs).items()}
    else:
        paths = _files(KINDS[kind], config_dirs)
    return {name: describe(path) for name, path in paths.items()}


def parts(config_dirs: Sequence[Path] = ()) -> list[str]:
    """The groups of parts there are: `model/posterior`, …"""
    folders = {path for root in (CONF, *config_dirs) for name in COMPONENTS for path in (root / name).glob("*/")}
    return sorted({f"{path.parent.name}/{path.name}" for path in folders})


def options(group: str, config_dirs: Sequence[Path] = ()) -> list[str]:
    """Every name that `group=` accepts; empty where there is no such group."""
    return list(_files(group, config_dirs)) if group else []


def find(group: str, name: str, config_dirs: Sequence[Path] = ()) -> Path | None:
    """The file that `group=name` means."""
    return _files(group, config_dirs).get(name)


def _files(group: str, config_dirs: Sequence[Path]) -> dict[str, Path]:
    """Name → file. Folders inside a component's are groups of their own; inside another's they are parts of the name."""
    found = {}
    pattern = "*.yaml" if group.partition("/")[0] in COMPONENTS else "**/*.yaml"
    for root in (CONF, *config_dirs):
        folder = root / group
        for path in sorted(folder.glob(pattern), key=lambda path: (len(path.parts), path)):
            found[path.relative_to(folder).with_suffix("").as_posix()] = path
    return found


def describe(path: Path) -> str:
    """The first comment of a YAML file that is not an instruction to Hydra (`# @package …`)."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and not line.startswith("# @"):
            return line.lstrip("# ").strip()
        if line and not line.startswith("#"):
            break
    return ""
