"""What a result may depend on besides its configuration: the machine, the libraries, the code."""

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from genexp.data.digest import digests
from genexp.data.own_files import own_files
from genexp.machine.device import choose_precision
from genexp.machine.distributed import world
from genexp.subject import Subject

LIBRARIES = ("genexp", "torch", "numpy", "hydra-core", "omegaconf", "torchdiffeq", "nflows", "pillow")
ROOT = Path(__file__).resolve().parents[2]


def circumstances(subject: Subject) -> dict[str, Any]:
    """For run.json."""
    return {
        "experiment": subject.settings.experiment,
        "seed": subject.settings.seed,
        "data": data_record(subject),
        "model": model_record(subject),
        "runs": subject.runs,
        "device": str(subject.device),
        "precision": choose_precision(subject.settings.trainer.precision, subject.device),
        "processes": world().size,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "git_commit": git_commit(),
        "command": shlex.join(sys.argv),
    }


def model_record(subject: Subject) -> dict[str, Any]:
    """What the model declared, for readers that do not build it: its abilities, what its loss is, its fitter, and of how many
    numbers its latents are.
    """
    model = subject.model
    latent = getattr(model, "latent", None)
    record = {"can": sorted(model.can), "objective": model.objective, "fitter": model.fitter}
    return {**record, "latent": latent} if isinstance(latent, int) else record


def data_record(subject: Subject) -> dict[str, Any]:
    """What a model was told of its data, which data they were, and which files of the user's own."""
    spec, files = subject.data.spec, own_files(subject.settings)
    record: dict[str, Any] = {"shape": list(spec.shape), "classes": list(spec.classes), "kind": spec.kind}
    if spec.levels is not None:
        record |= {"levels": spec.levels, "alphabet": spec.alphabet}
    record |= {"description": subject.data.describe(), "digest": digests(subject.data, subject.settings).record()}
    if "levels" in subject.knows:
        record["noisy_levels"] = subject.data.levels
    if "units" in subject.knows:
        record["units"] = subject.data.units.record()
    return record if files is None else {**record, "own_files": files.digest()}


def git_commit() -> str | None:
    """The commit of genexp's code, with -dirty where it is changed; None when it does not run from a checkout of its own."""
    if not (ROOT / ".git").exists() or not (ROOT / "conf").is_dir():
        return None
    question = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(question, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
