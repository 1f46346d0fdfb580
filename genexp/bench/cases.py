"""What is measured: one record for each case study. Light: no torch here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """One way of training: a loop in a module of its own, or an experiment on genexp's trainer.

    Args:
        loop: the module whose `train(data, gate)` it is, or `module:function`; or None.
        experiment: the experiment, or None.
        overrides: settings beside it.
        extra: the library that must be installed.
    """

    name: str
    loop: str | None = None
    experiment: str | None = None
    overrides: tuple[str, ...] = ()
    extra: str | None = None


@dataclass(frozen=True)
class Quality:
    """What `--time-to` trains for; lower is better. `article` is what `--time-to article` asks for, and `source` whence it is.

    For the QR code the article's quality is that the code scans; a number is a leak.
    """

    name: str
    article: float | None
    source: str


@dataclass(frozen=True)
class Case:
    """One case study.

    Args:
        contenders: of the speed table; the first is the yardstick of all ratios, the second trains the same model with the same
            arithmetic.
        race: of `--time-to`: the plain loop, and the settings of ours that are there soonest, with a budget that suffices;
            looked at every `look_every` examples.
        experiment: whose default run is drawn and sampled from.
        widths: the setting that scales the model, and its values; and so for the batch sizes.
        needs: the data set that it wants on disk, or None; where it is not there, all train on that of the experiment `instead`.
        any_data: its loops train on whichever data set of the plane they are given.
    """

    name: str
    contenders: tuple[Contender, ...]
    race: tuple[Contender, Contender]
    look_every: int
    quality: Quality
    experiment: str
    widths: tuple[str, tuple[str, ...]]
    batch_sizes: tuple[int, ...]
    needs: str | None = None
    instead: str | None = None
    any_data: bool = False

    def follows(self, word: str) -> bool:
        """Whether the other library's loop heeds this setting too: the data set, where it can train on any, and then the seed."""
        return self.any_data and word.partition("=")[0] in ("dataset", "seed")

    @property
    def trainer(self) -> Contender:
        """The notebook's model, batch and arithmetic on genexp's trainer."""
        return self.contender("trainer")

    @property
    def best(self) -> Contender:
        """Our best settings; of what is there to be compared with others, the fast ones."""
        names = [one.name for one in self.contenders]
        return self.contender("best" if "best" in names else "trainer, fast")

    def contender(self, name: str) -> Contender:
        return next(one for one in self.contenders if one.name == name)

    def has_data(self) -> bool:
        from genexp.fetch.sets import is_there

        return self.needs is None or is_there(self.needs)


# What `trainer, fast` adds to `trainer`, which keeps to the notebook's arithmetic. Compiling pays where a step is many small
# operations; large matrix products and convolutions gain nothing from it. bf16 (`auto`: where the machine has it) is left out
# where it costs quality: the double Gaussian's KL rises from 0.045 to 0.050.
_COMPILED, _BF16 = ("trainer.compile=true",), ("trainer.precision=auto",)
_NOTEBOOKS, _PEERS = "genexp.article.notebooks", "genexp.bench.peers"


def _flow(kind: str, width: str, dim: int = 2, settings: tuple[str, ...] = ()) -> Case:
    """A flow of zuko's, and ours of the same kind and size: on the double Gaussian, or in many dimensions on one Gaussian.

    `width` is the setting of its networks, and where that stands are the others.
    """
    network = width.rpartition(".")[0]
    same = (
        *(f"model={kind}", "model.depth=5", f"{width}=64", f"{network}.activation=relu", *settings),
        *("trainer.batch_size=512", "trainer.lr=1e-3", "trainer.betas=[0.9,0.999]", "trainer.schedule=constant"),
        *("trainer.warmup=0", "trainer.ema=0"),
    )
    if dim > 2:
        same += ("dataset=normal", f"dataset.mean={[0.0] * dim}".replace(" ", ""))
    else:
        same += ("dataset.draw=random",)  # as the other library's loop draws
    zuko = Contender("zuko", loop=f"{_PEERS}.zuko_flow:{kind}", extra="zuko")
    ours = Contender("trainer", experiment="double_gaussian", overrides=same)
    return Case(
        name=kind if dim == 2 else f"{kind}_{dim}",
        contenders=(zuko, ours, Contender("trainer, fast", experiment="double_gaussian", overrides=same + _COMPILED)),
        race=(zuko, ours),
        look_every=50 * 512,
        quality=Quality("kl", 0.02 if dim == 2 else 0.5, "a flow that is all but there"),
        experiment="double_gaussian",
        widths=(width, ("16", "32", "64", "128", "256")),
        batch_sizes=(128, 512, 2048, 8192),
        any_data=dim == 2,
    )


_BINS = ("model.transformer.bins=8",)
_FLOWS = (
    ("maf", "model.width", ()),
    ("spline_autoregressive", "model.width", _BINS),
    ("spline_coupling", "model.conditioner.width", _BINS),
)

CASES = {
    case.name: case
    for case in (
        *(_flow(kind, width, dim, settings) for kind, width, settings in _FLOWS for dim in (2, 64)),
        Case(
            name="double_gaussian",
            contenders=(
                Contender("notebook (nflows)", loop=f"{_NOTEBOOKS}.double_gaussian"),
                Contender("trainer", experiment="seminar/double_gaussian"),
                Contender("trainer, fast", experiment="seminar/double_gaussian", overrides=_COMPILED),
                Contender("best", experiment="double_gaussian"),
                Contender("zuko", loop=f"{_PEERS}.zuko_flow", extra="zuko"),
            ),
            race=(
                Contender("notebook", loop=f"{_NOTEBOOKS}.double_gaussian"),
                Contender("best", experiment="double_gaussian", overrides=("trainer.max_steps=300", "trainer.batch_size=512")),
            ),
            look_every=25 * 512,
            quality=Quality("kl", 0.045, "the article's setting, run here: 0.043 ± 0.003"),
            experiment="double_gaussian",
            widths=("model.conditioner.width", ("16", "32", "64", "128", "256")),
            batch_sizes=(128, 512, 2048, 8192),
        ),
        Case(
            name="mnist_vae",
            contenders=(
                Contender("notebook", loop=f"{_NOTEBOOKS}.mnist_vae"),
                Contender("trainer", experiment="seminar/mnist_vae"),
                Contender("trainer, fast", experiment="seminar/mnist_vae", overrides=_COMPILED + _BF16),
                Contender("best", experiment="mnist_vae"),
                Contender("lightning", loop=f"{_PEERS}.lightning_vae", extra="lightning"),
            ),
            race=(
                Contender("notebook", loop=f"{_NOTEBOOKS}.mnist_vae"),
                Contender(
                    "best (its encoder guesses three times)",
                    experiment="mnist_vae_mixture",
                    overrides=(
                        "model.network.encoder_widths=[256,256]",
                        "model.network.decoder_widths=[256,256]",
                        "model.network.activation=gelu",
                        "model.network.residual=true",
                        "model.posterior.components=3",
                        "model.input_dropout=0",
                        "trainer.max_steps=400",
                        "trainer.lr=1e-2",
                    ),
                ),
            ),
            look_every=50 * 256,
            quality=Quality("neg_elbo", 138.7, "the article: 138.68"),
            experiment="mnist_vae",
            widths=("model.network.encoder_widths", ("[128,128,128]", "[256,256,256]", "[512,512,512]", "[1024,1024,1024]")),
            batch_sizes=(64, 256, 1024, 4096),
            needs="mnist",
            instead="glyphs_vae",
        ),
        Case(
            name="qr_flowmatch",
            contenders=(
                Contender("notebook", loop=f"{_NOTEBOOKS}.qr_flowmatch"),
                Contender("trainer", experiment="seminar/qr_flowmatch"),
                Contender("trainer, fast", experiment="seminar/qr_flowmatch", overrides=_BF16),
                Contender("best", experiment="qr_flowmatch"),
                Contender("Fourier features", experiment="qr_fourier"),
                Contender("flow_matching", loop=f"{_PEERS}.flow_matching_qr", extra="flow_matching"),
            ),
            race=(
                Contender("notebook", loop=f"{_NOTEBOOKS}.qr_flowmatch"),
                Contender("best", experiment="qr_flowmatch", overrides=("trainer.max_steps=1000",)),
            ),
            look_every=25 * 12_288,
            quality=Quality("leak", None, "the article: its picture is read"),
            experiment="qr_flowmatch",
            widths=("model.field.width", ("64", "128", "256", "512")),
            batch_sizes=(256, 1024, 4096, 16384),
        ),
        Case(
            name="fruit_vae_iaf",
            contenders=(
                Contender("notebook", loop=f"{_NOTEBOOKS}.fruit_vae_iaf"),
                Contender("trainer", experiment="seminar/fruit_vae_iaf"),
                Contender("trainer, fast", experiment="seminar/fruit_vae_iaf", overrides=_BF16),
                Contender("best", experiment="fruit_vae_iaf"),
            ),
            race=(
                Contender("notebook (CNN-VAE)", loop=f"{_NOTEBOOKS}.fruit_vae"),
                Contender(
                    "best (fruit_vae)",
                    experiment="fruit_vae",
                    overrides=(
                        "dataset.split=seminar",
                        "dataset.rotate=0",
                        "dataset.stretch=0",
                        "dataset.shift=0",
                        "model.network.components=256",
                        "model.network.encoder_widths=[256,256]",
                        "model.network.decoder_widths=[256,256]",
                        "model.network.initialisation=linear",
                        "model/prior=standard",
                        "trainer.max_steps=450",
                        "trainer.lr=6e-3",
                        "trainer.ema=0.98",
                    ),
                ),
            ),
            look_every=44 * 32,
            quality=Quality("article_loss", 89.96, "the article: 89.96"),
            experiment="fruit_vae_iaf",
            widths=("model.network.encoder_widths", ("[128,128]", "[256,256]", "[512,512]", "[1024,1024]")),
            batch_sizes=(16, 64, 256),
            needs="fruit",
            instead="drawn_fruit_vae_iaf",
        ),
    )
}
