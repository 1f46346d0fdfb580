"""Fruit: splits that hold out what they say, drawn fruit that is fruit, and what is measured of samples."""

from pathlib import Path

import pytest
import torch

from genexp.data.drawn_fruit import DrawnFruit, draw_fruit
from genexp.data.fruit import BLOCK, GUARD, Fruit, find_blocks, hold_out_blocks
from genexp.data.images import ImageSet
from genexp.errors import UserError
from genexp.measures.classifier import in_parts, train_classifier


def test_a_block_is_a_run_of_the_turntable_whatever_the_order_of_the_files() -> None:
    """Frames on a circle, shuffled: each block is an arc, and about it lies a gap of three frames on either side."""
    frames = 432
    angle = torch.arange(frames) * 2 * torch.pi / frames
    shuffled = torch.randperm(frames, generator=torch.Generator().manual_seed(3))
    x = torch.stack([angle.cos(), angle.sin()], 1)[shuffled]
    blocks, rest = find_blocks(x, 9)
    kept = {int(shuffled[row]) for row in rest}
    assert [len(block) for block in blocks] == [BLOCK] * 9
    assert len(kept) >= frames - 9 * (BLOCK + GUARD)
    held = {int(shuffled[row]) for block in blocks for row in block}
    for number in held:
        assert not {(number + step) % frames for step in range(-3, 4)} & kept
    assert sum((number + 1) % frames in held for number in held) > 0.8 * len(held)  # runs, not single frames


def test_the_parts_of_the_fruit_share_nothing_and_hold_every_class(data_folder: Path) -> None:
    for split in ("blocks", "numbers"):
        data = Fruit(data_folder, size=32, split=split)  # type: ignore[arg-type]
        seen = [{x.numpy().tobytes() for x in part.x} for part in (data.train, data.validation, data.test)]
        assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]
        for part in (data.train, data.validation, data.test):
            assert part.label is not None
            assert part.label.unique().tolist() == [0, 1, 2]
        assert data.spec.shape == (3, 32, 32)
    seminar = Fruit(data_folder, size=32, split="seminar")
    assert len(seminar.test) == 6
    assert len(seminar.train) + len(seminar.validation) == 60


def test_numbers_make_blocks_of_neighbouring_numbers() -> None:
    numbers = torch.randperm(480, generator=torch.Generator().manual_seed(0)).repeat(3)
    pictures = ImageSet(torch.zeros(1440, 3, 24, 24, dtype=torch.uint8), torch.arange(3).repeat_interleave(480))
    pictures.x[:, 0, 0, 0] = 1  # the pictures are alike: only the numbers tell
    train, _, test = hold_out_blocks(
        ImageSet(pictures.x + (numbers % 251)[:, None, None, None].to(torch.uint8), pictures.label), numbers
    )
    assert len(test) == 3 * 6 * BLOCK
    assert len(train) >= 1440 - 3 * 9 * (BLOCK + GUARD)


def test_augmentation_is_for_training_alone(data_folder: Path) -> None:
    plain = Fruit(data_folder, size=32)
    warped = Fruit(data_folder, size=32, rotate=20.0, shift=0.05)
    assert torch.equal(plain.heldout(5, 0).x, warped.heldout(5, 0).x)
    assert torch.equal(plain.examples(20, 7).x, warped.examples(20, 7).x)
    assert torch.equal(plain.train_stream(16, 1).next().x, Fruit(data_folder, size=32).train_stream(16, 1).next().x)
    assert not torch.equal(plain.train_stream(16, 1).next().x, warped.train_stream(16, 1).next().x)
    assert len(warped.first_look(10_000, 0).x) == 3 * len(warped.train)
    one = warped.train_stream(8, 5)
    one.next()
    state = one.state_dict()
    expected = [one.next().x for _ in range(9)]
    again = warped.train_stream(8, 99)
    again.stream.seed = 5  # type: ignore[union-attr]
    again.load_state_dict(state)
    assert all(torch.equal(x, again.next().x) for x in expected)


def test_without_photographs_it_says_where_they_belong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fruit/train/apples: no pictures there") as failure:
        Fruit(tmp_path)
    assert "dataset=drawn_fruit" in str(failure.value.hint)
    for name in ("apples", "bananas"):
        folder = tmp_path / "fruit" / "train" / name
        folder.mkdir(parents=True)
        (folder / "a_1.jpg").write_bytes(b"broken")
    (tmp_path / "fruit" / "train" / "kiwis").mkdir()
    with pytest.raises(UserError, match="kiwis: no pictures there"):
        Fruit(tmp_path)


def test_broken_photographs_are_named_and_left_out(data_folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(data_folder / "fruit", tmp_path / "fruit")
    path = next((tmp_path / "fruit" / "train" / "kiwis").iterdir())
    path.write_bytes(path.read_bytes()[:60])
    data = Fruit(tmp_path, size=32, split="seminar")
    assert path.name in data.describe()
    assert len(data.train) + len(data.validation) == 59
    where = (data.train.label == 2).sum() + (data.validation.label == 2).sum()  # type: ignore[union-attr]
    assert int(where) == 19


def test_drawn_fruit_is_the_same_for_a_seed_and_looks_like_fruit() -> None:
    one, again, other = draw_fruit(30, 48, (0,)), draw_fruit(30, 48, (0,)), draw_fruit(30, 48, (1,))
    assert torch.equal(one.x, again.x)
    assert not torch.equal(one.x, other.x)
    assert one.label is not None
    x = one.x.float() / 255
    covered = (x.amin(1) < 0.9).float().mean((1, 2))
    red, green, blue = (
        x.permute(0, 2, 3, 1)[(x.amin(1) < 0.9) & (one.label == label)[:, None, None]].mean(0) for label in range(3)
    )
    assert float(red[0] - red[2]) > 0.2  # apples are red or golden,
    assert float(green[1] - green[2]) > 0.3  # bananas are yellow,
    assert float(blue.max()) < 0.6  # kiwis are dark,
    assert (covered > 0.05).all()  # and all are there
    assert float(covered[one.label == 1].mean()) < float(covered[one.label == 2].mean())  # bananas are slim
    data = DrawnFruit(Path(), count=12, validation=6, test=9, size=32)
    assert data.spec.shape == (3, 32, 32)
    assert len({x.numpy().tobytes() for part in (data.train, data.validation, data.test) for x in part.x}) == 27


def test_the_classifier_learns_the_fruit() -> None:
    torch.manual_seed(0)
    train, test = draw_fruit(120, 48, (0,)), draw_fruit(60, 48, (1,))
    model = train_classifier(train, 3, steps=80, batch_size=32)
    guessed = in_parts(model, test.batch().x).argmax(1)
    assert float((guessed == test.label).double().mean()) > 0.9
    assert in_parts(model.features, test.batch().x).shape == (60, 64)  # type: ignore[arg-type]
