"""Whether a barcode reader reads the samples: from points to a picture, and from a picture to what is read in it."""

from collections.abc import Iterator

import numpy as np

from genexp.errors import UserError
from genexp.measures.module_grid import modules_in
from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.subject import Subject, once

SHARPNESSES = (1.0, 1.33, 1.78, 2.37, 0.28)  # pixels a side of drawings, in the usual number; few run dots of a code together
MOST_PIXELS = 2048
REDRAWN = (5, 6)  # pixels a side of a module that OpenCV is shown
DISTANCES = (1.2, 1.4, 0.85)  # sizes at which OpenCV is shown a picture, beside the first


def draw_points(points: np.ndarray, pixels: int | None = None, blur: float = 1.2) -> np.ndarray:
    """A black-on-white picture, uint8 (side, side), of points (n, 2) in [−1, 1]² — from the points alone.

    Points are counted per pixel and the counts blurred by a Gaussian of `blur` pixels; a pixel is black where that is at
    least half of what the average point sees around it. By default `pixels` a side leave four or five points to a pixel of
    a code that covers a third of the square: wider blurs lose the modules of a large code, narrower ones see single points.
    """
    from scipy.ndimage import gaussian_filter

    pixels = pixels or int(np.clip(np.sqrt(len(points) / 1.5), 64, MOST_PIXELS))
    edges = np.linspace(-1, 1, pixels + 1)
    counts, _, _ = np.histogram2d(-points[:, 1], points[:, 0], bins=(edges, edges))
    ink = gaussian_filter(counts, blur)
    level = (ink**2).sum() / ink.sum() if ink.any() else np.inf
    return np.where(ink >= level / 2, 0, 255).astype(np.uint8)


def drawings(points: np.ndarray) -> Iterator[np.ndarray]:
    """Pictures of points at several scales: how large a module is, and so how wide a blur it bears, is not told them."""
    usual = np.sqrt(len(points) / 1.5)
    for sharpness in SHARPNESSES:
        yield draw_points(points, int(np.clip(sharpness * usual, 64, MOST_PIXELS)))


def draw_cells(black: np.ndarray, border: int = 4) -> np.ndarray:
    """The cells themselves as a picture, one pixel each, inside a white border."""
    return np.where(np.pad(black, border), 0, 255).astype(np.uint8)


def decode(picture: np.ndarray) -> str | None:
    """The text zxing-cpp reads in a picture (uint8, grey), or None.

    The text is that of the code's bytes, control characters and all: as UTF-8, or, where they are none, as zxing-cpp takes them.
    (Its own text is for people: the character 29 reads `<GS>` there.)
    """
    import zxingcpp

    results = zxingcpp.read_barcodes(_ready(picture), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    if not results:
        return None
    try:
        return results[0].bytes.decode()
    except UnicodeDecodeError:
        return results[0].text


def decode_opencv(picture: np.ndarray) -> str | None:
    """The text that one of OpenCV's two detectors reads, or None, from as near or as far as they need; of an upright code also in
    its modules, each redrawn by the majority of its pixels. UserError when OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise UserError("decoded_opencv needs OpenCV", hint="pip install 'genexp[opencv]'") from None
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    detectors = cv2.QRCodeDetector(), cv2.QRCodeDetectorAruco()
    try:
        found = (detector.detectAndDecode(seen)[0] for seen in sights(picture) for detector in detectors)
        return next((text for text in found if text), None)
    except UnicodeDecodeError:  # bytes that are no text
        return None


def sights(picture: np.ndarray) -> Iterator[np.ndarray]:
    """The picture as it is; the modules alone that are found in it; and the picture as from other distances."""
    yield _ready(picture)
    if (modules := modules_in(picture)) is not None:
        for pixels in REDRAWN:
            yield np.kron(draw_cells(modules), np.ones((pixels, pixels), dtype=np.uint8))
    yield from nearer_and_farther(picture)


def _ready(picture: np.ndarray, smallest: int = 800, border: float = 0.1) -> np.ndarray:
    """The picture with a white border, enlarged to whole multiples of its pixels: scanners want both."""
    picture = np.pad(picture.astype(np.uint8), round(border * len(picture)), constant_values=255)
    return np.ascontiguousarray(np.kron(picture, np.ones((-(-smallest // len(picture)),) * 2, dtype=np.uint8)))


def nearer_and_farther(picture: np.ndarray) -> Iterator[np.ndarray]:
    """The picture as cameras of several distances see it: OpenCV finds the modules of a large code only at some sizes."""
    from PIL import Image

    image = Image.fromarray(np.pad(picture.astype(np.uint8), round(0.1 * len(picture)), constant_values=255))
    for size in (round(scale * image.width) for scale in DISTANCES):
        yield np.where(np.asarray(image.resize((size, size), Image.Resampling.BOX)) < 128, 0, 255).astype(np.uint8)


@once
def picture(subject: Subject) -> np.ndarray:
    """What a reader is given: a picture of the samples alone, the first that zxing-cpp reads anything in."""
    return shown(subject)[0]


@once
def shown(subject: Subject) -> tuple[np.ndarray, str | None]:
    return first_read(subject.samples.numpy())


def first_read(points: np.ndarray) -> tuple[np.ndarray, str | None]:
    """The first drawing of points that zxing-cpp reads anything in, and what; the first one and None where it reads nothing."""
    first = None
    for drawn in drawings(points):
        if (text := decode(drawn)) is not None:
            return drawn, text
        first = drawn if first is None else first
    assert first is not None
    return first, None


@once
def reading(subject: Subject) -> str | None:
    return shown(subject)[1]


def payload_of(subject: Subject) -> str | None:
    """What the samples should say: what is known of the data, else what is read in their cells or in as many true points."""
    known = subject.data.payload or decode(draw_cells(subject.density.mask.numpy()))
    return known or first_read(subject.target.numpy())[1]


@measure("decoded", "what zxing-cpp reads in a picture of the samples", data={"code"})
def decoded(subject: Subject) -> Value:
    return Value(reading(subject))


@measure("scannable", "1 where the samples, drawn, read as the payload", better="higher", headline=12, data={"code"})
@cannot_see("how good a code is beyond being readable: error correction repairs much")
def scannable(subject: Subject) -> Value:
    """None where the data are no code that can be read."""
    payload = payload_of(subject)
    return Value(None if payload is None else int(reading(subject) == payload))


@suggests(6)
def until_it_scans(case: Case) -> Suggestion | None:
    """Samples that no scanner reads yet; without features of the point a network is too smooth for a code."""
    if case.number("scannable") != 0:
        return None
    if case.setting("model.field.name") == "plain":
        said = (
            "The samples do not scan, and a network on the bare point is too smooth for a code: Fourier features see its edges."
        )
        return Suggestion(said, ("model/field=random",), more=False)
    return Suggestion("The samples do not scan yet: it goes on for four times as long.", case.longer(4), goes_on=True)


@measure("decoded_opencv", "what OpenCV's reader reads, a second opinion", data={"code"})
def decoded_opencv(subject: Subject) -> Value:
    """In one of the pictures that zxing-cpp may be given."""
    try:
        pictures = drawings(subject.samples.numpy())
        return Value(next((text for drawn in pictures if (text := decode_opencv(drawn)) is not None), None))
    except UserError:
        return Value(None)
