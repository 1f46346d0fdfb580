"""Many processes, one run: the same numbers as one process, one folder, one voice."""

import torch

from genexp.config import compose
from genexp.distributed import sharded, world
from genexp.experiment import build
from genexp.studies.base import draw_chunk, draw_samples, sample_chunks


def test_one_process_is_a_world_of_one() -> None:
    assert (world().rank, world().size, world().is_main) == (0, 1, True)
    assert not torch.distributed.is_initialized()
    assert sharded(range(5), lambda part: part**2) == [0, 1, 4, 9, 16]


def test_a_chunk_of_samples_depends_on_its_place_alone(tiny: list[str]) -> None:
    """Whoever draws the third chunk draws the same, whatever was drawn before; and no two chunks are alike."""
    subject = build(compose([*tiny, "evaluation.batch_size=150"]).settings)
    samples = draw_samples(subject)
    chunks = sample_chunks(400, 150)
    assert [chunk.size for chunk in chunks] == [150, 150, 100]
    alone = draw_chunk(subject.model, chunks[2], subject.settings.seed, subject.device)
    assert torch.equal(samples[300:], alone)
    assert not torch.equal(samples[:100], samples[150:250])
