"""Polynomials over the field of two elements, modulo one of them: arrays of their coefficients, 0 or 1, from t⁰ on."""

import numpy as np


class Modulus:
    """Remainders after division by φ(t), of degree p: arrays of p coefficients.

    Products are convolutions of whole numbers, by FFT, and then taken modulo 2. The quotient of s by φ is what is above t^p in
    ⌊s/t^p⌋ μ, with μ = ⌊t^(2p)/φ⌋ (Barrett). From the other end, the coefficients of μ are those of the power series
    ψ = 1/(t^p φ(1/t)), by Newton's iteration ψ ← ψ² t^p φ(1/t): over two elements 2 = 0.

    Args:
        phi: the coefficients of φ, (p + 1,), the first and the last of them 1.
    """

    def __init__(self, phi: np.ndarray) -> None:
        self.degree = len(phi) - 1
        self.size = 1 << (2 * self.degree).bit_length()
        series, known, backwards = np.ones(1, dtype=np.uint8), 1, phi[::-1]
        while known <= self.degree:
            known *= 2
            square = np.zeros(known, dtype=np.uint8)
            square[::2] = series
            series = self._product(square[: self.degree + 1], self._transformed(backwards[:known]))[:known]
        self.phi, self.mu = self._transformed(phi), self._transformed(series[: self.degree + 1][::-1])
        self.low = phi[:-1]

    def power(self, exponent: int) -> np.ndarray:
        """t^exponent, by squaring: (p,)."""
        left = max(0, exponent.bit_length() - self.degree.bit_length() + 1)
        found = np.zeros(self.degree, dtype=np.uint8)
        found[exponent >> left] = 1
        for place in reversed(range(left)):
            found = self.squared(found)
            if exponent >> place & 1:
                carry = found[-1]
                found = np.roll(found, 1)
                found[0] = 0
                found ^= carry * self.low
        return found

    def squared(self, x: np.ndarray) -> np.ndarray:
        """x²: over two elements the square of a sum is the sum of squares."""
        square = np.zeros(2 * self.degree, dtype=np.uint8)
        square[::2] = x
        quotient = self._product(square[self.degree :], self.mu)[self.degree : 2 * self.degree]
        return square[: self.degree] ^ self._product(quotient, self.phi)[: self.degree]

    def _transformed(self, x: np.ndarray) -> np.ndarray:
        return np.fft.rfft(x, self.size)

    def _product(self, x: np.ndarray, transformed: np.ndarray) -> np.ndarray:
        """x times what was transformed, (size,)."""
        whole = np.fft.irfft(self._transformed(x) * transformed, self.size)
        return (np.rint(whole).astype(np.int64) & 1).astype(np.uint8)


def product(x: int, y: int) -> int:
    """Of polynomials as whole numbers, bit i of which is the coefficient of tⁱ; fast where x has few terms."""
    found = 0
    while x:
        found ^= y << (x & -x).bit_length() - 1
        x &= x - 1
    return found


def coefficients(x: int) -> np.ndarray:
    """The same as an array."""
    return np.array([*map(int, reversed(f"{x:b}"))], dtype=np.uint8)
