"""The spectral test: how far apart the planes are on which all points of a linear congruential generator lie.

Successive numbers (x_1, …, x_d)/m lie on planes s·x = integer for every s of the dual lattice {s : Σ s_i a^(i−1) ≡ 0 mod m};
the shortest s, found exactly, belongs to the widest gap, 1/|s|.

Source: Knuth, The Art of Computer Programming, volume 2, section 3.3.4.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

Vector = tuple[int, ...]
HERMITE = {2: 4 / 3, 3: 2, 4: 4, 5: 8, 6: 64 / 3, 7: 64, 8: 256}  # γ_d^d: of all lattices, |s|² ≤ γ_d m^(2/d)


def shortest(multiplier: int, modulus: int, dims: int) -> Vector:
    """The shortest vector of the dual lattice, its first number that is not 0 positive."""
    basis: list[Vector] = [(modulus, *[0] * (dims - 1))]
    for place in range(1, dims):
        basis.append((-pow(multiplier, place, modulus), *(int(place == other) for other in range(1, dims))))
    found = min(_as_short(reduced(basis)), key=_square)
    return found if next(filter(None, found)) > 0 else tuple(-each for each in found)


def merit(vector: Vector, modulus: int) -> float:
    """|s| as a share of the longest that any lattice has: 1 is perfect, below 0.1 is bad (Fishman & Moore)."""
    dims = len(vector)
    return math.sqrt(_square(vector)) / (HERMITE[dims] ** (0.5 / dims) * modulus ** (1 / dims))


def planes(vector: Vector) -> int:
    """How many planes s·x = integer cross the inside of the unit cube."""
    return sum(map(abs, vector)) - 1


def most_planes(modulus: int, dims: int) -> float:
    """No more than (d! m)^(1/d) planes hold all points of any multiplier (Marsaglia 1968)."""
    return (math.factorial(dims) * modulus) ** (1 / dims)


def reduced(basis: Sequence[Vector], quality: Fraction = Fraction(99, 100)) -> list[Vector]:
    """The same lattice by nearly orthogonal vectors (Lenstra, Lenstra & Lovász 1982), in exact arithmetic."""
    vectors, place = [*basis], 1
    while place < len(vectors):
        squares, shares = _orthogonal(vectors[: place + 1])
        for other in reversed(range(place)):
            times = round(shares[place][other])
            vectors[place] = tuple(a - times * b for a, b in zip(vectors[place], vectors[other], strict=True))
            for before, share in enumerate([*shares[other], Fraction(1)]):  # the vector's shares follow
                shares[place][before] -= times * share
        if squares[place] >= (quality - shares[place][place - 1] ** 2) * squares[place - 1]:
            place += 1
        else:
            vectors[place - 1], vectors[place] = vectors[place], vectors[place - 1]
            place = max(1, place - 1)
    return vectors


def _as_short(basis: Sequence[Vector]) -> list[Vector]:
    """Every vector of the lattice that is no longer than the shortest of its reduced basis (Fincke & Pohst 1985)."""
    squares, shares = _orthogonal(basis)
    limit, found = min(map(_square, basis)), []

    def extend(chosen: Vector, left: Fraction) -> None:
        """`chosen`: how often the last vectors of the basis are taken; `left`: how much of |s|² is not used up."""
        place = len(basis) - 1 - len(chosen)
        if place < 0:
            vector = tuple(sum(times * each[i] for times, each in zip(chosen, basis, strict=True)) for i in range(len(basis)))
            if any(vector):
                found.append(vector)
            return
        middle = -sum((times * shares[place + 1 + i][place] for i, times in enumerate(chosen)), Fraction(0))
        reach = math.sqrt(left / squares[place]) + 1e-9
        for times in range(math.ceil(middle - reach), math.floor(middle + reach) + 1):
            if (rest := left - (times - middle) ** 2 * squares[place]) >= 0:
                extend((times, *chosen), rest)

    extend((), Fraction(limit))
    return found


def _orthogonal(vectors: Sequence[Vector]) -> tuple[list[Fraction], list[list[Fraction]]]:
    """Gram and Schmidt: the squares of the orthogonal vectors, and each vector's shares of those before it."""
    bases: list[list[Fraction]] = []
    squares: list[Fraction] = []
    shares: list[list[Fraction]] = []
    for vector in vectors:
        rest, row = [Fraction(each) for each in vector], []
        for base, square in zip(bases, squares, strict=True):
            share = sum((a * b for a, b in zip(vector, base, strict=True)), Fraction(0)) / square
            rest = [a - share * b for a, b in zip(rest, base, strict=True)]
            row.append(share)
        bases.append(rest)
        squares.append(sum((each * each for each in rest), Fraction(0)))
        shares.append(row)
    return squares, shares


def _square(vector: Vector) -> int:
    return sum(each * each for each in vector)
