"""What numbers, curves and pictures are, in a line each: for the reader who did not run them."""

NUMBERS = {
    "2 article_loss − squared_error": "squared error + KL(q ‖ N(0, I)), what the article trained this model on",
    "active_units": "latent dimensions that the encoder uses",
    "article_loss": "squared error + ½ KL(q ‖ N(0, I)), the article's objective",
    "bayes_accuracy": "share of test pictures whose class Bayes' rule finds",
    "best_step": "the step whose weights were measured",
    "bits_per_dim": "bits for each byte of a picture",
    "bridge_mass": "the model's mass between the peaks",
    "bridge_share_of_samples": "share of the samples that lie between the peaks",
    "coverage": "share of real pictures with a sample nearby (k = 5)",
    "decoded": "what zxing-cpp reads in a picture of the samples",
    "decoded_opencv": "what OpenCV's reader reads, a second opinion",
    "density": "how densely samples lie among real pictures (k = 5)",
    "excess_loss": "E|v − v*|² against the optimal velocity",
    "heldout_loss": "the objective on held-out data",
    "irreducible_loss": "the loss of the optimal velocity itself",
    "iwae_nll": "−ln p(x) bounded by importance-weighted samples, nats",
    "kl": "how far one density is from the other, nats",
    "knn_accuracy": "classes of test pictures from their neighbours in latent space",
    "leak": "share of samples outside black modules",
    "linear_accuracy": "classes of test pictures from latent points, linearly",
    "mass": "the integral of the model's density",
    "module_tv": "total variation between histograms over modules",
    "nearest_train_ratio": "distance to the nearest training picture, relative; far below 1: copies",
    "neg_elbo": "−ELBO, a bound of −ln p(x), nats a picture",
    "nll": "−E ln p(x) on held-out data, nats",
    "nll_discretisation": "by how much half the ODE's step changes nll, nats",
    "nll_error": "the standard error of nll, nats",
    "parameters": "numbers that were learnt",
    "precision": "share of samples that lie among real pictures (k = 5)",
    "quadrature_error": "quadrature_nll against half as many points a side",
    "quadrature_nll": "−ln p(x) itself, by quadrature over the latent plane, nats a picture",
    "recall": "share of real pictures that lie among samples (k = 5)",
    "reconstruction": "−E ln p(x|z), nats a picture",
    "samples_per_second": "training examples a second",
    "scannable": "1 where the samples, drawn, read as the payload",
    "seconds_train": "training time, seconds",
    "share": "share of the samples that are of this class, by the classifier",
    "classifier_accuracy": "of the small classifier whose features and opinions are used",
    "effective_samples": "how many of the weighted samples count",
    "importance_samples": "posterior samples of each picture for iwae_nll",
    "sliced_wasserstein": "distance between samples and data",
    "squared_error": "of reconstructions, summed over a picture",
    "steps": "training steps",
}

HEADLINES = (
    "leak", "scannable", "nll", "excess_loss", "kl", "bridge_mass", "neg_elbo", "quadrature_nll", "iwae_nll", "article_loss",
    "bits_per_dim", "coverage", "knn_accuracy", "bayes_accuracy", "sliced_wasserstein", "heldout_loss",
)  # fmt: skip

CURVES = {
    "loss": "training objective",
    "heldout/loss": "objective on held-out data",
    "heldout/excess_loss": "held-out loss above the best possible",
    "neg_elbo": "−ELBO, nats",
    "reconstruction": "reconstruction, nats",
    "kl": "KL(q(z|x) ‖ p(z)), nats",
    "lr": "learning rate",
    "samples_per_second": "examples a second",
}

PICTURES = {
    "aggregate": "The aggregate posterior beside the prior",
    "anomalies": "How surprising other data are",
    "averages": "Each class's average latent, and half a σ around it",
    "between_averages": "Between the average latents of the classes",
    "confusion": "Which class is taken for which",
    "density": "Density of the samples",
    "flow": "Points flowing from noise into data",
    "four_corners": "A square between four test pictures",
    "interpolation": "From one test picture to another",
    "latent": "Where the test pictures lie in latent space",
    "latent_tsne": "The latent space by t-SNE",
    "layers": "From the base to the data, layer by layer",
    "log_density": "The learnt log density",
    "loss": "Loss curves, as the run drew them",
    "manifold": "The latent plane, decoded",
    "neighbourhood": "A test picture and its neighbourhood",
    "prior_samples": "New pictures, from the prior",
    "prior_samples_through_flow": "What the article took for samples: noise through the posterior's flow",
    "reconstructions": "Test pictures and what becomes of them",
    "samples": "Samples",
    "samples_picture": "Samples, as the run kept them",
    "training": "The latent plane as training goes on",
    "velocity": "The learnt velocity and the optimal one",
}
FIRST = ("samples", "prior_samples", "latent", "manifold", "interpolation", "reconstructions")  # these lead; then by name


def caption(name: str) -> str:
    return PICTURES.get(name, name.replace("_", " "))
