"""Which jobs of a sweep begin anew, because the data are no longer those that they were trained on."""

from contextlib import suppress
from pathlib import Path

from genexp.config.composition import compose, compose_stored
from genexp.data.digest import digests, is_ours, origin_digest
from genexp.errors import UserError
from genexp.folder.data_digests import DataDigests, read_digests
from genexp.folder.records import read_run
from genexp.folder.run_folder import RunFolder
from genexp.registry import datasets
from genexp.settings import RunSettings
from genexp.sweep.plan import Plan


def put_others_aside(plan: Plan) -> None:
    """Move the folder of each job that was trained on other data than are there today to _aside/, and say so.

    A job whose data cannot be read today, or that another process works on, stays as it is.
    """
    today = Today()
    for number in range(len(plan.jobs)):
        folder = RunFolder(plan.folder(number))
        with suppress(UserError):
            if today.has(read_digests(read_run(folder.path)), _settings(plan, number)):
                continue
            with folder.lock():
                aside = folder.put_aside()
            print(f"{plan.named(number)} was trained on other data, and begins anew; it is kept as {aside}", flush=True)


class Today:
    """The data as they are now. Each set is built once at most, and only where its files or its generator do not tell."""

    def __init__(self) -> None:
        self._built: dict[str, DataDigests] = {}

    def has(self, then: DataDigests, settings: RunSettings) -> bool:
        """Whether the data that `settings` describe are those that had the digests `then`."""
        if then == DataDigests():
            return True
        if is_ours(settings):
            origin = origin_digest(settings)
            if origin is None or origin == then.origin:  # its files are not there, or as they were
                return True
        return self._digests(settings).agree(then)

    def _digests(self, settings: RunSettings) -> DataDigests:
        key = repr((settings.dataset, settings.data_dir))
        if key not in self._built:
            self._built[key] = digests(datasets.build(settings.dataset, Path(settings.data_dir)), settings)
        return self._built[key]


def _settings(plan: Plan, number: int) -> RunSettings:
    """The data set as the job's folder has it, in the place where data lie today."""
    data_dir = compose(plan.jobs[number], plan.config_dirs).settings.data_dir
    return compose_stored(plan.folder(number), ()).settings.model_copy(update={"data_dir": data_dir})
