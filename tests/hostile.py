"""A seeded grammar of wrong commands: `python -m tests.hostile` writes tests/corpus/commands.jsonl, one command a line.

Every one of them is wrong: a run that begins by one of them is a failure.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from genexp.config.catalogue import CONF, GROUPS, options
from genexp.registry import datasets, models

CORPUS = Path(__file__).parent / "corpus" / "commands.jsonl"
COUNT = 500
SHARES = {"typo": 150, "type": 110, "range": 110, "syntax": 60, "choice": 40, "command": 30}

WORDS = ["fast", "''", "[1,2]", "{a:1}", "1;2", "0x", "1e", "--1", "true", "null", "None", "1_", "½", "一", "1,5"]
OUT = ["-1", "-0.001", "nan", "inf", "-inf", "1e400", "-1e400", "1e30", "999999999999999999999999", "-9223372036854775809"]
BROKEN = "' \" [ ] { } ( ) '[ [1,[2] {a: {a:1 \"a' 'a\" ${ ${x} ${oc.env: a=b \\ range( choice(1,2 sort( a,b , [,]".split()  # noqa: SIM905
BROKEN += ["${oc.env:NO_SUCH_VARIABLE}", "${trainer.nope}", "!!python/object:os.system", "[" * 2000, "{a:" * 500]


def commands(seed: int = 0) -> list[list[str]]:
    """All of them, the same for the same seed."""
    chance = random.Random(seed)
    found: list[list[str]] = []
    for kind, count in SHARES.items():
        more = iter(globals()[f"_{kind}"](chance))
        seen: list[list[str]] = []
        while len(seen) < count:
            typed = next(more)
            if typed not in found and typed not in seen:
                seen.append(typed)
        found += seen
    return found


def keys() -> dict[str, tuple[str, Any]]:
    """Every key there is, → the choice that it needs, and its default."""
    found: dict[str, tuple[str, Any]] = {}
    config = yaml.safe_load((CONF / "config.yaml").read_text())
    for name in ("seed", "device"):
        found[name] = ("", config[name])
    for section in ("evaluation", "figures"):
        found |= {f"{section}.{key}": ("", value) for key, value in config[section].items()}
    found |= {f"trainer.{key}": ("", value) for key, value in yaml.safe_load((CONF / "trainer/default.yaml").read_text()).items()}
    for group, registry in (("dataset", datasets), ("model", models)):
        for name in registry.names():
            found |= _of(group, f"{group}={name}", registry.validate({"name": name}))
            for part, kind in registry.parts(name).items():
                for member in kind.names():
                    place = f"{group}/{part}={member}"
                    found |= _of(f"{group}.{part}", f"{group}={name} {place}", kind.validate({"name": member}))
    return found


def _of(section: str, choice: str, values: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """The keys of one component, without those of its parts."""
    return {f"{section}.{key}": (choice, value) for key, value in values.items() if not isinstance(value, dict)}


def mutated(word: str, chance: random.Random) -> str:
    """One slip of the finger."""
    at = chance.randrange(len(word))
    letter = chance.choice("abcdefghijklmnopqrstuvwxyz_0")
    return chance.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at : at + 2][::-1] + word[at + 2 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at:].upper(),
        ]
    )


def _run(needs: str, *words: str) -> list[str]:
    return ["run", *needs.split(), *words]


def _shown(value: Any) -> str:
    return json.dumps(value).replace(" ", "").replace('"', "'")


def _typo(chance: random.Random) -> Iterator[list[str]]:
    known = keys()
    while True:
        key = chance.choice(sorted(known))
        wrong = mutated(key, chance)
        if wrong not in known and wrong.partition(".")[0] not in ("hydra", "~"):
            yield _run(known[key][0], f"{chance.choice(['', '', '', '+', '++', '~'])}{wrong}={_shown(known[key][1])}")


def _type(chance: random.Random) -> Iterator[list[str]]:
    known = {key: at for key, at in keys().items() if isinstance(at[1], int | float) and not isinstance(at[1], bool)}
    while True:
        key = chance.choice(sorted(known))
        value = chance.choice(WORDS)
        if value == "null" and key in ("model.parametrisation.data_scale",):
            continue
        yield _run(known[key][0], f"{key}={value}")


def _range(chance: random.Random) -> Iterator[list[str]]:
    known = {key: at for key, at in keys().items() if isinstance(at[1], int | float) and not isinstance(at[1], bool)}
    while True:
        key = chance.choice(sorted(known))
        yield _run(known[key][0], f"{key}={chance.choice(OUT)}")


def _syntax(chance: random.Random) -> Iterator[list[str]]:
    known = {key: at for key, at in keys().items() if at[1] is not None and not isinstance(at[1], str)}  # a text may be anything
    while True:
        key = chance.choice(sorted(known))
        broken = chance.choice(BROKEN)
        yield _run(known[key][0], chance.choice([f"{key}={broken}", f"{key}={broken}", f"{broken}{key}=1", f"{key}{broken}"]))


def _choice(chance: random.Random) -> Iterator[list[str]]:
    while True:
        group = chance.choice([*GROUPS, "model/prior", "model/likelihood"])
        right = chance.choice(options(group))
        paths = [f"../{right}", f"/{right}", f"{right}.yaml", "/etc/passwd", "."]
        wrong = chance.choice([mutated(right, chance), "", "null", "[]", *paths])
        if wrong not in options(group):
            needs = ["model=vae"] if "/" in group else []
            yield ["run", *needs, f"{chance.choice(['', '', '+'])}{group}={wrong}"]


def _command(chance: random.Random) -> Iterator[list[str]]:
    right = [["run", "seed=1"], ["resume", "latest"], ["list", "models"], ["run", "-m", "seed=1,2"], ["run", "--cfg"]]
    while True:
        words = list(chance.choice(right))
        at = chance.randrange(len(words))
        words[at] = chance.choice([mutated(words[at], chance), words[at] + chance.choice("\x1b\x00\udcffé,]"), ""])
        if words not in right and words != ["resume"] and words[0] != "":
            yield words


if __name__ == "__main__":
    CORPUS.write_text("".join(json.dumps(typed) + "\n" for typed in commands()))
