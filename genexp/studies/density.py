"""Studies of a known density in the plane: how far is the model's from it, in nats?"""

import copy
from typing import Any

import numpy as np
import torch
from PIL import Image

from genexp.artifacts import RunFolder
from genexp.data.base import Batch
from genexp.data.mixture import LOST, PART, GaussianMixture
from genexp.figures import densities, points
from genexp.metrics.density import compare, in_parts
from genexp.models.base import GenerativeModel, HasLayers, HasLogProb, HasVelocity, Terms
from genexp.quadrature import Rule, midpoints
from genexp.registry import studies
from genexp.seeds import seed_for, seeded
from genexp.studies.base import Evaluation, Metric, Study, Subject, draw_samples
from genexp.studies.likelihood import held_out, likelihood
from genexp.studies.points import SHOWN_POINTS, draw_flow, draw_loss
from genexp.training.validation import heldout_batch

GRID_SIDE, STRIP_SIDE = 480, 240  # of the quadratures, where a likelihood is one pass through a network
ODE_GRID_SIDE, ODE_STRIP_SIDE = 64, 24  # and where it is an ODE
PICTURE_SIDE = 240


@studies.register("density")
class DensityStudy(Study):
    """Numbers: nll beside its floor, which is −mean ln p of the truth over the same points; kl, mass, bridge_mass and, for
    bijections, invertibility_error.
    """

    def validate(self, model: GenerativeModel, batch: Batch) -> Terms:
        """Where the loss is −E[ln q], also E[ln p − ln q] on the same points: the excess, nearly without noise."""
        terms = model.validate(batch)
        if not isinstance(model, HasLayers):
            return terms
        return {"excess_loss": terms["loss"] + self.subject.data.density.log_prob(batch.x).mean(), **terms}

    def evaluate(self) -> Evaluation:
        subject = self.subject
        density = subject.data.density.to(torch.device("cpu"))
        samples, true = draw_samples(subject), held_out(subject)
        metrics: dict[str, Metric] = {"bridge_share_of_samples": _share(samples, *subject.data.bridge)}
        notes: list[str] = []
        with torch.autocast(subject.device.type, enabled=False):
            if isinstance(subject.model, HasLogProb):
                metrics |= likelihood(subject, true.scored).metrics()
                metrics["floor/nll"] = -float(density.log_prob(true.scored.double()).mean())
                metrics |= self.integrals(notes)
            metrics["exact/bridge_mass"] = density.strip_mass(*subject.data.bridge)
            if isinstance(subject.model, HasLayers):
                metrics |= invertibility(subject, true.scored)
                heldout = heldout_batch(subject.data, subject.settings.trainer.eval_size, subject.settings.seed)
                metrics["floor/heldout_loss"] = -float(subject.data.density.log_prob(heldout.x).mean())
        return Evaluation(metrics, {"samples": samples.numpy(), "target": true.target.numpy()}, notes=notes)

    def integrals(self, notes: list[str]) -> dict[str, Metric]:
        """By quadrature in float64: KL(truth ‖ model), the model's mass, its mass in the bridge.

        Where the truth's own mass is not found by the same points the numbers are None, and `notes` gets the reason.
        """
        subject = self.subject
        density, bridge = subject.data.density.to(torch.device("cpu")), subject.data.bridge
        side, strip_side = (ODE_GRID_SIDE, ODE_STRIP_SIDE) if isinstance(subject.model, HasVelocity) else (GRID_SIDE, STRIP_SIDE)
        low, high = density.box()
        rule = density.quadrature(side, low, high)
        corners, strip_mass = strip_of(low, high, *bridge), density.strip_mass(*bridge)
        strip = density.quadrature(strip_side, *corners)
        if abs(density.mass(strip) - strip_mass) > LOST:
            strip = density.quadrature(2 * strip_side, *corners)
        whole = has_mass(density, rule, 1.0, "kl and mass", notes)
        part = has_mass(density, strip, strip_mass, "bridge_mass", notes)
        model, batch_size = _double(subject.model), subject.settings.evaluation.batch_size
        log_p = in_parts(density.log_prob, rule.points, PART)
        comparison = compare(log_p, in_parts(model.log_prob, rule.points, batch_size), rule)
        return {
            "kl": comparison.kl if whole else None,
            "floor/kl": 0.0,
            "mass": comparison.mass if whole else None,
            "exact/mass": 1.0,
            "bridge_mass": strip.integral(in_parts(model.log_prob, strip.points, batch_size).exp()) if part else None,
        }

    def draw(self, evaluation: Evaluation, folder: RunFolder) -> None:
        subject = self.subject
        samples, target = (evaluation.samples[name][:SHOWN_POINTS] for name in ("samples", "target"))
        density = subject.data.density.to(torch.device("cpu"))
        low, high = density.box(4.5)
        limit = float(torch.maximum(-low, high).max())
        with seeded(seed_for(subject.settings.seed, "base"), subject.device):
            has_base = isinstance(subject.model, HasLayers)
            base = subject.model.sample_base(len(target)) if has_base else torch.randn(len(target), 2)
        clouds = {"base": base.cpu().numpy(), "target": target, "generated": samples}
        folder.save_figure("samples", points.clouds(clouds, limit))
        draw_loss(evaluation, folder)
        if isinstance(subject.model, HasLogProb):
            side = ODE_GRID_SIDE if isinstance(subject.model, HasVelocity) else PICTURE_SIDE
            grid = midpoints(torch.full_like(low, -limit), torch.full_like(high, limit), side)
            log_p, log_q = (in_parts(known.log_prob, grid.points, 16_384) for known in (density, _double(subject.model)))
            true, learnt = (log_density.exp().reshape(side, side).numpy() for log_density in (log_p, log_q))
            folder.save_figure("density", densities.side_by_side(true, learnt, limit))
        if isinstance(subject.model, HasLayers):
            self.draw_layers(folder, limit)
        draw_flow(subject, folder, target)

    def draw_layers(self, folder: RunFolder, limit: float) -> None:
        """A grid of the base, warped layer by layer into the data's space; still and moving."""
        subject = self.subject
        lines = torch.as_tensor(densities.grid_lines(3.0), dtype=torch.float32, device=subject.device)
        with seeded(seed_for(subject.settings.seed, "animation"), subject.device):
            dots = subject.model.sample_base(3000)
        warped = subject.model.layers(lines.flatten(0, 1)).unflatten(1, lines.shape[:2]).cpu().numpy()
        moved = subject.model.layers(dots).cpu().numpy()
        folder.save_figure("layers", densities.warped_grids(warped, moved, limit))
        figures = subject.settings.figures
        if figures.gif:
            frames = densities.warping_frames(warped, moved, limit, figures.gif_size, figures.gif_frames)
            folder.save_gif("layers", frames, figures.gif_fps)

    def picture(self, evaluation: Evaluation) -> Image.Image:
        """The samples as dots."""
        samples = evaluation.samples["samples"][:SHOWN_POINTS]
        return points.flow_frames(samples[None], 720, limit=1.1 * float(np.abs(samples).max()))[0].convert("L")


def strip_of(low: torch.Tensor, high: torch.Tensor, left: float, right: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners of what the strip left < x < right has in common with the box from `low` to `high`; of all of it, if nothing."""
    within = max(left, float(low[0])), min(right, float(high[0]))
    across = within if within[0] < within[1] else (left, right)
    return torch.stack([low.new_tensor(across[0]), low[1]]), torch.stack([low.new_tensor(across[1]), high[1]])


def has_mass(density: GaussianMixture, rule: Rule, mass: float, names: str, notes: list[str]) -> bool:
    """Whether the points of `rule` find the truth's own mass; `notes` says it where they do not."""
    found = density.mass(rule)
    if abs(found - mass) <= LOST:
        return True
    count = f"{len(rule.points):,} points of the quadrature"
    notes.append(
        f"{names} left out: the {count} find {found:.4g} of the truth's own mass {mass:.4g}; its components are too unlike"
    )
    return False


@torch.no_grad()
def invertibility(subject: Subject, x: torch.Tensor) -> dict[str, Metric]:
    """Largest |f⁻¹(f(x)) − x| over points of the data, in float32 and in float64."""
    errors: dict[str, Metric] = {}
    for name, model, points_ in (
        ("invertibility_error", subject.model, x.to(subject.device)),
        ("invertibility_error_float64", _double(subject.model), x.double()),
    ):
        errors[name] = float((model.inverse(model.transform(points_)[0])[0] - points_).abs().max())
    return errors


def _double(model: Any) -> Any:
    return copy.deepcopy(model).cpu().double()


def _share(x: torch.Tensor, low: float, high: float) -> float:
    return float(((x[:, 0] > low) & (x[:, 0] < high)).double().mean())
