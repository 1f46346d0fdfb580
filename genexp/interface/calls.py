"""`genexp.run`, `genexp.resume` and `genexp.open`."""

from collections.abc import Sequence
from pathlib import Path

from genexp.config.composition import compose
from genexp.folder.finding import find_run
from genexp.interface.guest import Paths, as_paths, as_words, guest, load_plugins
from genexp.interface.opened import Run
from genexp.runs import experiment
from genexp.runs.trained import Which


@guest
def run(overrides: Sequence[str] = (), *, config_dirs: Paths = (), plugins: Paths = ()) -> Run:
    """Train, evaluate and draw: what `genexp run` does, in a new folder.

        run = genexp.run(["experiment=double_gaussian", "trainer.max_seconds=5"])

    Args:
        overrides: `key=value` and `experiment=name`, as on the command line.
        config_dirs: your own YAML folder, or several, beside genexp's.
        plugins: a Python file that registers your data sets or models, or several.

    Returns:
        The finished run, opened.

    Raises:
        UserError: something that cannot be done was asked for; its text says what and, where it is known, what can be.
        KeyboardInterrupt: Ctrl-C, or an interrupted kernel. The training is saved: `genexp.resume("latest")` goes on.
    """
    words, files = as_words(overrides), load_plugins(plugins)
    return Run(experiment.run(compose(words, as_paths(config_dirs)), plugins=files).path)


@guest
def resume(name: str | Path, overrides: Sequence[str] = (), *, plugins: Paths = ()) -> Run:
    """Go on exactly where a run stopped, in the same folder: what `genexp resume` does. Returns and raises as `genexp.run`.

    Args:
        name: the run's folder, its id, or "latest".
        overrides: what may change, the trainer's budget above all: `["trainer.max_steps=9000"]`.
        plugins: as when it was begun.
    """
    words, files = as_words(overrides), load_plugins(plugins)
    return Run(experiment.resume(find_run(str(name)), words, files).path)


@guest
def open(name: str | Path, *, checkpoint: Which = "best", device: str | None = None, plugins: Paths = ()) -> Run:
    """A run that was trained before, or is still training; nothing in its folder changes.

    Args:
        name: the run's folder, its id, or "latest".
        checkpoint: whose weights `.model` has: "best", which the run itself was measured on, or "last".
        device: where `.model` computes; as in the run, if None.
        plugins: the Python files that register its data set or model, where these are yours.

    Raises:
        UserError: there is no such run.
    """
    load_plugins(plugins)
    return Run(find_run(str(name)), checkpoint, device)
