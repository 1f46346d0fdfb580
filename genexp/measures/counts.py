"""Tables of counts with back-off: what a model of symbols in a row, or of greys beside one another, has to be better than.

    p_n(c | h) = (count(h c) + types(h) p_{n−1}(c | h′)) / (count(h) + types(h)),   h′ the n − 1 nearest symbols of h,

where types(h) is how many different symbols have followed h, and p_{−1} is uniform.
Source: Witten & Bell, The Zero-Frequency Problem (1991), in its interpolated form.
"""

from dataclasses import dataclass

import numpy as np

MOST_CODE = 2**62  # contexts are told apart by one whole number


@dataclass(frozen=True)
class Seen:
    """What is to be told, (n,), and the context of each, (n, columns), the nearest first: whole numbers below `levels`."""

    next: np.ndarray
    context: np.ndarray


def log_probs(train: Seen, tests: list[Seen], levels: int, order: int) -> list[list[np.ndarray]]:
    """ln p of each of the `tests` by tables of 0, 1, …, `order` symbols of context: for each test a list of (n,)."""
    p = [np.full(len(test.next), 1 / levels) for test in tests]
    codes, found = [np.zeros(len(each.next), np.int64) for each in (train, *tests)], [[] for _ in tests]  # type: ignore[var-annotated]
    for n in range(order + 1):
        if n:
            scale = levels ** (n - 1)
            codes = [code + scale * each.context[:, n - 1] for code, each in zip(codes, (train, *tests), strict=True)]
        pairs, pair_counts = np.unique(codes[0] * levels + train.next, return_counts=True)
        contexts, first, types = np.unique(pairs // levels, return_index=True, return_counts=True)
        totals = np.add.reduceat(pair_counts, first)
        for index, (code, test) in enumerate(zip(codes[1:], tests, strict=True)):
            count = looked_up(pairs, pair_counts, code * levels + test.next)
            total, kinds = looked_up(contexts, totals, code), looked_up(contexts, types, code)
            p[index] = np.where(total > 0, (count + kinds * p[index]) / np.maximum(total + kinds, 1), p[index])
            found[index].append(np.log(p[index]))
    return found


def looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key; 0 of one that is not there."""
    at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def most_columns(levels: int, wanted: int) -> int:
    """How many symbols of context a code can tell apart."""
    fits = 0
    while fits < wanted and levels ** (fits + 2) < MOST_CODE:
        fits += 1
    return fits


def best_table(train: Seen, validation: Seen, test: Seen, levels: int) -> tuple[int, float]:
    """The order that gives the validation part most, and −mean ln p of the test part by it, in nats."""
    validated, tested = log_probs(train, [validation, test], levels, train.context.shape[1])
    order = int(np.argmax([each.mean() for each in validated]))
    return order, -float(tested[order].mean())


def of_text(symbols: np.ndarray, columns: int, before: np.ndarray | None = None) -> Seen:
    """Each symbol and the `columns` before it; of the first few, those at the end of `before`, and symbol 0 before that."""
    head = np.zeros(columns, np.int64) if before is None else np.concatenate([np.zeros(columns, np.int64), before])[len(before) :]
    padded = np.concatenate([head, symbols])
    shifted = [padded[columns - n : columns - n + len(symbols)] for n in range(1, columns + 1)]
    return Seen(symbols, np.stack(shifted, axis=1) if columns else np.zeros((len(symbols), 0), np.int64))


def parts_of_text(parts: list[np.ndarray], columns: int) -> list[Seen]:
    """The same of parts that follow one another in a text: the first symbols of each have the part before it as their context."""
    ends = np.cumsum([len(part) for part in parts])
    text = np.concatenate(parts)
    return [of_text(part, columns, text[: end - len(part)]) for part, end in zip(parts, ends, strict=True)]


NEIGHBOURS = ((0, 1), (1, 0), (1, -1), (1, 1), (0, 2), (2, 0), (1, -2), (1, 2), (2, -1), (2, 1), (0, 3), (3, 0))  # up, left


def of_pictures(x: np.ndarray, columns: int) -> Seen:
    """Each pixel of pictures (n, height, width) and its nearest neighbours above and to the left; outside there are zeros."""
    padded = np.pad(x, ((0, 0), (3, 0), (3, 3)))
    _, height, width = x.shape
    beside = [padded[:, 3 - up : 3 - up + height, 3 - left : 3 - left + width].reshape(-1) for up, left in NEIGHBOURS[:columns]]
    return Seen(x.reshape(-1), np.stack(beside, axis=1))
