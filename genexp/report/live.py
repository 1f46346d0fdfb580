"""What a reader can play with: the trained model itself, opened from the run's checkpoint and packed into the page."""

from dataclasses import dataclass

from genexp.errors import UserError
from genexp.report import cube, explorer, flow
from genexp.report.cube import Cube
from genexp.report.explorer import Explorer
from genexp.report.flow import Flow
from genexp.report.folder import Unreadable
from genexp.report.gather import Run

NEEDED = ("run.json", "config.yaml", "checkpoints/best.pt")


@dataclass(frozen=True)
class Live:
    """The decoder of a latent plane, moving points, or a cube of one run; or `missing`: why there is none, where one could be."""

    explorer: Explorer | None = None
    flow: Flow | None = None
    cube: Cube | None = None
    missing: str | None = None


def bring_to_life(run: Run) -> Live:
    """What of the run's model can be packed. The page is made whatever a checkpoint is like; it says what is amiss."""
    from genexp.runs.trained import open_run, read_spec

    try:
        for name in NEEDED:
            run.folder.file(name)
    except Unreadable as why:
        return Live(missing=f"{name} is {why}") if str(why) == "missing" else Live(missing=f"{name}: {why}")
    try:
        if read_spec(run.folder.path) is None:
            return Live(missing="run.json does not say what the data were like")
        trained = open_run(run.folder.path, device="cpu")
        if explorer.has_plane(trained.model):
            return Live(explorer=explorer.pack(trained.model, trained.spec.classes, run.folder))
        if flow.has_flow(trained.model, trained.spec):
            return Live(flow=flow.pack(trained.model, run.folder, trained.settings.seed, trained.units))
        if cube.has_cube(trained.model, trained.spec):
            return Live(cube=cube.pack(trained.model, trained.settings.seed))
    except UserError as mistake:
        return Live(missing=mistake.message)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, MemoryError, OSError) as failure:
        return Live(missing=f"its checkpoint cannot be used ({type(failure).__name__})")
    return Live()
