"""Stand-ins for the libraries of CUDA, so that torch runs without them where there is no GPU: `make setup LIGHT=1`.

On Linux the index's torch for x86-64 is linked against fourteen of them. They take 4 GB with what belongs to them, and a CPU
calls none. They are not installed then, and this script compiles in their place libraries whose every function returns
"no CUDA-capable device": it asks torch's own libraries which functions they take from which. torch finds no GPU, and is in all
else what it was. Needs cc and readelf (Debian: gcc). `make clean setup` installs the real ones.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

NO_DEVICE = 100  # cudaErrorNoDevice
LIBRARY = re.compile(r"\[(lib(?:cu|nccl|nvrtc|nvshmem)\w*\.so\S*)\]")  # as readelf lists what a file needs
DRIVER = "libcuda.so.1"  # comes with a GPU, and is asked for only there
UNVERSIONED = ("cufile", "cusparselt", "nccl", "nvshmem")  # libraries whose functions bear no version, but their name


@dataclass(frozen=True)
class Symbol:
    """What a library is asked for: `version` names the library, or is empty."""

    name: str
    version: str
    is_data: bool


def read(file: Path, what: str) -> str:
    return subprocess.run(["readelf", "--wide", what, file], capture_output=True, text=True, check=True).stdout


def undefined(file: Path) -> Iterator[Symbol]:
    """What `file` takes from others."""
    for line in read(file, "--dyn-syms").splitlines():
        match line.split():
            case [_, _, _, kind, _, _, "UND", name, *_]:
                name, _, version = name.partition("@")
                yield Symbol(name, version.strip("@"), kind == "OBJECT")


def belongs(symbol: Symbol, library: str) -> bool:
    """Whether `symbol` is taken from `library`, libcublas.so.13: its functions are of that version, or begin with its name."""
    stem = library.removeprefix("lib").partition(".so")[0].removesuffix("_host").lower()
    if symbol.version:
        return symbol.version in (library, stem.upper())
    return stem in UNVERSIONED and symbol.name.lower().startswith(stem)


def compile_stand_in(library: str, symbols: set[Symbol], folder: Path) -> None:
    with TemporaryDirectory() as place:
        source, versions = Path(place) / "stand_in.c", Path(place) / "versions"
        source.write_text("\n".join(_definition(symbol) for symbol in symbols))
        named: dict[str, list[str]] = {}
        for symbol in symbols:
            named.setdefault(symbol.version, []).append(symbol.name)
        unversioned = set(named) == {""}
        versions.write_text("\n".join(f"{version} {{ {'; '.join(names)}; }};" for version, names in named.items() if version))
        options = ["-w", "-shared", "-fPIC", "-fno-builtin", "-s", f"-Wl,-soname,{library}"]
        options += [] if unversioned else [f"-Wl,--version-script={versions}"]
        subprocess.run(["cc", *options, "-o", folder / library, source], check=True)


def _definition(symbol: Symbol) -> str:
    return f"long {symbol.name}[512];" if symbol.is_data else f"long {symbol.name}(void) {{ return {NO_DEVICE}; }}"


def main(folder: Path) -> None:
    """One for each library that those of torch, in `folder`, need."""
    if lacking := [program for program in ("cc", "readelf") if shutil.which(program) is None]:
        sys.exit(f"error: LIGHT=1 needs {' and '.join(lacking)} (Debian: apt-get install gcc)")
    files = sorted(folder.glob("libtorch*.so")) + sorted(folder.glob("libc10*.so"))
    needed = {name for file in files for name in LIBRARY.findall(read(file, "--dynamic"))} - {DRIVER}
    symbols = {symbol for file in files for symbol in undefined(file)}
    for library in sorted(needed):
        compile_stand_in(library, {symbol for symbol in symbols if belongs(symbol, library)}, folder)


if __name__ == "__main__":
    main(Path(sysconfig.get_path("platlib")) / "torch" / "lib")
