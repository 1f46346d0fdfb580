"""A picture of a posterior that is a mixture: where the encoder guesses, and which guesses the decoder keeps."""

import torch
from matplotlib.figure import Figure

from genexp.figures import guesses as drawing
from genexp.machine.device import all_digits
from genexp.measures.record import picture
from genexp.pictures.latent import array
from genexp.subject import Subject

EXAMPLES, SHOWN, SIDE, REACH = 5, 8, 150, 3.2  # test examples, guesses of each, points a side of the plane, and where it ends


@picture(
    "guesses",
    "The Gaussians of q(z|x): the encoder's guesses, weighted by the decoder",
    lead=2,
    model={"mixed_posterior", "posterior", "latents"},
    data={"examples", "pictures"},
)
def guesses(subject: Subject) -> Figure:
    """Of the first test examples: ln p(z|x) in the plane with the means in it, and what they decode to, the likeliest first."""
    model, few = subject.model, subject.test[:EXAMPLES]
    shown = []
    with torch.no_grad(), all_digits(subject.device):
        mean, _, log_weight = model.posterior.gaussians(model.infer(few.x, few.label))
        weight, order = log_weight.exp().sort(dim=1, descending=True)
        axis = torch.linspace(-REACH, REACH, SIDE, device=subject.device)
        z = torch.cartesian_prod(axis, axis).flip(1)  # row by row: z₁ runs fastest
        for index in range(len(few.x)):
            best = mean[index, order[index]]
            plane = None
            if "pairs" in subject.can:
                log_p = model.log_likelihoods(few.x[index : index + 1], z)[0] - 0.5 * z.square().sum(1)
                plane = array((log_p - log_p.logsumexp(0)).view(SIDE, SIDE))
            label = None if few.label is None else few.label[index].expand(min(SHOWN, len(best)))
            decoded = array(model.decode(best[:SHOWN], label))
            shown.append(drawing.Guesses(array(few.x[index]), plane, array(best), array(weight[index]), decoded))
    return drawing.guesses(shown, REACH)
