"""Samples against a uniform density over cells, and what readers of barcodes see in them."""

import numpy as np

from genexp.errors import UserError
from genexp.measures.record import Value, measure
from genexp.metrics import barcode, cells
from genexp.subject import Subject, once


@measure("leak", "share of samples outside black modules", better="lower", headline=10, data={"cells"})
def leak(subject: Subject) -> Value:
    return Value(cells.leak(subject.samples, subject.density), floor=0.0)


@measure("module_tv", "total variation between histograms over modules", better="lower", data={"cells"})
def module_tv(subject: Subject) -> Value:
    """Beside what as many true samples get."""
    true = cells.module_tv(subject.target, subject.density)
    return Value(cells.module_tv(subject.samples, subject.density), floor=true)


@once
def picture(subject: Subject) -> np.ndarray:
    """What a reader is given: a picture of the samples alone."""
    return barcode.draw_points(subject.samples.numpy())


@once
def reading(subject: Subject) -> str | None:
    return barcode.decode(picture(subject))


@measure("decoded", "what zxing-cpp reads in a picture of the samples", data={"code"})
def decoded(subject: Subject) -> Value:
    return Value(reading(subject))


@measure("scannable", "1 where the samples, drawn, read as the payload", better="higher", headline=12, data={"code"})
def scannable(subject: Subject) -> Value:
    """None where the data are no code that can be read."""
    payload = subject.data.payload or barcode.decode(barcode.draw_cells(subject.density.mask.numpy()))
    return Value(None if payload is None else int(reading(subject) == payload))


@measure("decoded_opencv", "what OpenCV's reader reads, a second opinion", data={"code"})
def decoded_opencv(subject: Subject) -> Value:
    try:
        return Value(barcode.decode_opencv(picture(subject)))
    except UserError:
        return Value(None)
