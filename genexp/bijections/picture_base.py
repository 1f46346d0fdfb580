"""What a bijection of pictures is: of (channels, height, width), not of features in a row."""

from genexp.bijections.base import Bijection
from genexp.registry import Registry

Shape = tuple[int, int, int]


class PictureBijection(Bijection):
    """z = f(x) of pictures x (n, *shape). Told when built: `shape`, (channels, height, width), and `layer`, its place.

    `after`: the shape of one z. As of every bijection `forward` is data → noise, and both ways come with ln |det|, (n,).
    """

    def __init__(self, shape: Shape, after: Shape | tuple[int] | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.after = after or shape


picture_bijections: Registry[PictureBijection] = Registry("bijection of pictures", "genexp.bijections")
