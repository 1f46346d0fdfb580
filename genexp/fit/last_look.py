"""What a model fits at one go, when all else is learnt."""

from genexp.data.base import Dataset
from genexp.models.base import GenerativeModel
from genexp.seeds import seed_for, seeded

EXAMPLES = 16_384  # that a model may look at after its last step


def take_last_look(model: GenerativeModel, data: Dataset, seed: int) -> None:
    """Let `model`, whose weights stay, conclude from training examples: the same for the same weights and seed of a run."""
    model.eval()
    with seeded(seed_for(seed, "conclusion"), model.device):
        model.conclude(data.examples(EXAMPLES, seed_for(seed, "last look")))
