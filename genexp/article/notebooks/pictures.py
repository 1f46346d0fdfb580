"""Pictures as a notebook has them: PIL images in memory, turned into tensors one at a time by a transform.

(A notebook would also read and decode its files in every epoch. That is left out, in its favour.)
"""

from typing import Any

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import transforms

from genexp.data.images import ImageSet


class Pictures(Dataset):
    """A list of PIL images and their labels."""

    def __init__(self, images: list[Image.Image], labels: list[int]) -> None:
        self.images, self.labels = images, labels
        self.transform: Any = transforms.ToTensor()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def pictures(part: ImageSet) -> Pictures:
    arrays = part.x.permute(0, 2, 3, 1).squeeze(-1).numpy()  # grey pictures have no last axis in PIL
    labels = [0] * len(part) if part.label is None else part.label.tolist()
    return Pictures([Image.fromarray(array) for array in arrays], labels)
