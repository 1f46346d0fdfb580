"""Inverses that have no formula. Each says how many iterations it took and what is left, and none returns what is not an inverse.

A root x of f(x) = y is accepted where

    |f(x) − y| ≤ ε^¾ max(1, |y|),      ε the rounding of the numbers' type: 1.8e-12 in float64, 6.4e-6 in float32.

Source: Press et al., Numerical Recipes (2007), chapter 9.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.errors import UserError


class ConvergenceError(UserError):
    """A numerical inverse that was not found: a bijection too steep for these digits, or one that is none."""


@dataclass(frozen=True)
class Root:
    """x; of each |f(x) − y| that is left; and how many iterations it took."""

    x: Tensor
    residual: Tensor
    iterations: int


def bisection(function: Callable[[Tensor], Tensor], y: Tensor, lower: Tensor, upper: Tensor, most: int = 200) -> Root:
    """The root of an increasing, elementwise function between `lower` and `upper`, by halving. Everything has one shape.

    Raises:
        ConvergenceError: no root there, or none in `most` halvings.
    """
    if not ((function(lower) <= y) & (y <= function(upper))).all():
        raise ConvergenceError("bisection: there is no root between the bounds")
    for iteration in range(1, most + 1):
        x = (lower + upper) / 2
        error = function(x) - y
        if _near(error, y).all():
            return Root(x, error.abs(), iteration)
        lower, upper = torch.where(error < 0, x, lower), torch.where(error < 0, upper, x)
    raise _not_converged("bisection", error, most)


def safeguarded_newton(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], y: Tensor, lower: Tensor, upper: Tensor, most: int = 200
) -> Root:
    """The root of an increasing, elementwise function that gives (value, slope): Newton's step where it stays between the bounds
    and gains a half, else half the interval. One more step at the end carries the derivatives of y and of the function.

    Raises:
        ConvergenceError: no root between `lower` and `upper`, or none in `most` iterations.
    """
    x, iterations = _safeguarded(function, y, lower, upper, most)
    value, slope = function(x)
    x = x - (value - y) / slope
    return Root(x, (function(x.detach())[0] - y).detach().abs(), iterations)


@torch.no_grad()
def _safeguarded(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], y: Tensor, lower: Tensor, upper: Tensor, most: int
) -> tuple[Tensor, int]:
    """The root before its last step, and the iterations."""
    size = torch.maximum(y.abs(), upper - lower)  # values between the bounds are rounded as these are
    x, before = (lower + upper) / 2, torch.full_like(y, torch.inf)
    for iteration in range(1, most + 1):
        value, slope = function(x)
        error = value - y
        near = (slope > 0) & _near(error / slope.clamp_min(1.0), size)  # where it is steep x itself is as near
        if near.all():
            return x, iteration
        lower, upper = torch.where(error < 0, x, lower), torch.where(error < 0, upper, x)
        step = x - error / slope
        gains = (lower < step) & (step < upper) & (error.abs() <= before / 2)
        x, before = torch.where(near, x, torch.where(gains, step, (lower + upper) / 2)), error.abs()
    raise _not_converged("Newton's method", error, most)


def fixed_point(function: Callable[[Tensor], Tensor], start: Tensor, most: int) -> Root:
    """x = g(x), (n, dim), by x ← g(x), without derivatives.

    Raises:
        ConvergenceError: not in `most` iterations.
    """
    x = start
    with torch.no_grad():
        for iteration in range(1, most + 1):
            before, x = x, function(x)
            change = x - before
            if _near(change, x).all():
                return Root(x, change.abs().amax(1), iteration)
    raise _not_converged("the fixed-point iteration", change, most)


def newton(function: Callable[[Tensor], Tensor], y: Tensor, start: Tensor, most: int = 50) -> Root:
    """The root of a smooth map (n, dim) → (n, dim) of each point by itself, by Newton's steps, halved while they gain nothing.

    Raises:
        ConvergenceError: not in `most` iterations.
    """
    jacobians = torch.func.vmap(torch.func.jacrev(lambda point: function(point[None])[0]))
    x = start
    with torch.no_grad():
        error = function(x) - y
        for iteration in range(1, most + 1):
            if _near(error, y).all():
                return Root(x, error.abs().amax(1), iteration)
            step, _ = torch.linalg.solve_ex(jacobians(x), error)
            for _ in range(20):
                after = function(x - step) - y
                gains = after.norm(dim=1) < error.norm(dim=1)
                step = torch.where(gains[:, None] | _near(error, y).all(1, keepdim=True), step, step / 2)
                if gains.all():
                    break
            x, error = torch.where(gains[:, None], x - step, x), torch.where(gains[:, None], after, error)
    raise _not_converged("Newton's method", error, most)


def _near(error: Tensor, size: Tensor) -> Tensor:
    """Where an error is one of rounding; nowhere where it is no number."""
    return error.abs() <= torch.finfo(error.dtype).eps ** 0.75 * size.abs().clamp_min(1.0)


def _not_converged(method: str, error: Tensor, most: int) -> ConvergenceError:
    left = float(error.detach().abs().max())
    return ConvergenceError(f"an inverse was not found: {method} left a residual of {left:.1e} after {most} iterations")
