"""The runs behind the case studies."""

from genexp.claims.records import Case, Way, steps

CODE = ("dataset.text='https://qrco.de/bg6AQE'",)
POINTS = ("evaluation.num_samples=40000", "trainer.eval_size=2048")  # a scanner needs many points
HEAVY_POINTS = (  # a hundred evaluations of a large network each
    "evaluation.num_samples=6000", "evaluation.num_points=512", "evaluation.ode_points=48", "figures.log_density_side=12",
    "trainer.eval_size=1024",
)  # fmt: skip
CLOUDS = ("evaluation.num_samples=30000", "evaluation.num_points=32768")  # cheap where a likelihood is one pass
DRAWN = "drawn_fruit_vae_iaf"
AS_FRUIT_VAE = (
    "model.latent=64",
    "model/posterior=gaussian",
    "model/likelihood=gaussian",
    "model.likelihood.sigma=0.70710678",
    "model.likelihood.learn_sigma=false",
    "model.objective.beta=0.5",
    "model.network.initialisation=mean",
    "trainer.lr=3e-3",
    "trainer.clip_norm=500",
)
AS_CONV = (
    "model/network=conv",
    "model.network.encoder_widths=[32,64,128,256,512]",
    "model.network.decoder_widths=[512,256,128,64,32]",
    "model.network.initialisation=random",
    "model/likelihood=gaussian",
    "model.likelihood.sigma=0.70710678",
    "model.likelihood.learn_sigma=false",
    "model/prior=standard",
    "trainer.max_steps=null",
    "trainer.max_epochs=100",
    "trainer.batch_size=32",
    "trainer.optimizer=adam",
    "trainer.betas=[0.9,0.999]",
    "trainer.schedule=constant",
    "trainer.warmup=0",
    "trainer.clip_norm=null",
    "trainer.ema=0",
    "trainer.precision=float32",
    "trainer.keep=last",
)

CASES = (
    Case(
        "double_gaussian", "double_gaussian", "ours", Way("double_gaussian"),
        seconds=60, quick=steps(1200, *CLOUDS), quick_seconds=12, remark="three spline couplings",
    ),
    Case(
        "seminar_double_gaussian", "double_gaussian", "the article's", Way("seminar/double_gaussian"),
        seconds=60, quick=steps(800, *CLOUDS), quick_seconds=15, remark="eight affine couplings",
    ),
    Case(
        "qr_flowmatch", "qr", "ours", Way("qr_flowmatch", CODE),
        seconds=70, quick=steps(1000, *POINTS), quick_seconds=35, remark="flow matching, grids taught the mean velocity",
    ),
    Case(
        "seminar_qr_flowmatch", "qr", "the article's", Way("seminar/qr_flowmatch"),
        seconds=8700, quick=steps(400, *HEAVY_POINTS, "trainer.batch_size=1024"), quick_seconds=50,
        remark="flow matching, random Fourier features",
    ),
    Case(
        "qr_plain", "qr", "ours", Way("qr_plain", CODE),
        seconds=120, quick=None, remark="flow matching without Fourier features",
    ),
    Case(
        "qr_fourier", "qr", "ours", Way("qr_fourier", CODE),
        seconds=240, quick=None, remark="flow matching, noise-aware Fourier features",
    ),
    Case(
        "qr_coupling", "qr", "ours", Way("qr_coupling", CODE),
        seconds=260, quick=None, remark="a discrete flow",
    ),
    Case(
        "mnist_vae", "mnist", "ours", Way("mnist_vae"),
        seconds=540, quick=steps(600, "trainer.eval_size=2000"), quick_seconds=30,
        needs="mnist", stand_in=Way("mnist_vae", ("dataset=glyphs",)),
    ),
    Case(
        "seminar_mnist_vae", "mnist", "the article's", Way("seminar/mnist_vae"),
        seconds=240, quick=steps(800, "trainer.max_epochs=null"), quick_seconds=25,
        needs="mnist", stand_in=Way("seminar/mnist_vae", ("dataset=glyphs",)),
    ),
    Case(
        "mnist_gtm", "mnist", "ours", Way("mnist_gtm"),
        seconds=300, quick=None, needs="mnist", stand_in=Way("mnist_gtm", ("dataset=glyphs",)),
        remark="a decoder by maximum likelihood, without an encoder",
    ),
    Case(
        "fruit_vae", "fruit_vae", "ours",
        Way(
            "fruit_vae",
            ("dataset.split=seminar", "dataset.rotate=0", "dataset.stretch=0", "dataset.shift=0", "model.network.components=512",
             "trainer.max_steps=1500"),
        ),
        seconds=180, quick=steps(250), quick_seconds=40, needs="fruit",
        stand_in=Way(DRAWN, (*AS_FRUIT_VAE, "trainer.max_steps=1500")),
    ),
    Case(
        "seminar_fruit_vae", "fruit_vae", "the article's", Way("seminar/fruit_vae"),
        seconds=1500, quick=steps(40, "trainer.max_epochs=null"), quick_seconds=55, needs="fruit",
        stand_in=Way(DRAWN, (*AS_CONV, "model.latent=128", "model/posterior=gaussian", "model.objective.beta=0.5",
                             "trainer.lr=5e-5", "trainer.weight_decay=0")),
    ),
    Case(
        "fruit_vae_iaf", "fruit_iaf", "ours",
        Way(
            "fruit_vae_iaf",
            ("dataset.split=seminar", "dataset.rotate=0", "dataset.stretch=0", "dataset.shift=0", "model.network.components=512"),
        ),
        seconds=480, quick=steps(200), quick_seconds=55, needs="fruit", stand_in=Way(DRAWN),
    ),
    Case(
        "seminar_fruit_vae_iaf", "fruit_iaf", "the article's", Way("seminar/fruit_vae_iaf"),
        seconds=1800, quick=steps(40, "trainer.max_epochs=null"), quick_seconds=60, needs="fruit",
        stand_in=Way(DRAWN, (*AS_CONV, "model.latent=64", "model/posterior=nflows_iaf", "trainer.lr=1e-4",
                             "trainer.weight_decay=1e-5")),
    ),
)  # fmt: skip
