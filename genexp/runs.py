"""Finding run folders again."""

from pathlib import Path

from genexp.errors import UserError, nearest


def find_run(name: str, root: Path = Path("outputs")) -> Path:
    """The run folder that `name` means: a path, a run's id below `root`, or `latest`."""
    path = Path(name).expanduser()
    if (path / "run.json").is_file():
        return path
    runs = sorted((folder.parent for folder in root.rglob("run.json")), key=lambda run: (run / "run.json").stat().st_ctime)
    if name == "latest":
        if not runs:
            raise UserError(f"there is no run under {root}/ yet", hint="genexp run")
        return runs[-1]
    named = [run for run in runs if run.name == name]
    if len(named) > 1:
        raise UserError(f"'{name}' could be any of {len(named)} runs", hint=f"name its path, for example {named[-1]}")
    if named:
        return named[0]
    guess = nearest(name, [run.name for run in runs])
    asked = f"; did you mean '{guess}'?" if guess else ""
    raise UserError(f"no run '{name}' here{asked}", hint="a path, a run's id, or latest")
