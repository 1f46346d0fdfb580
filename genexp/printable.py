"""Text that is safe to give to a terminal: names come from files that are not trusted."""

import os
import re
import shlex
import sys
import unicodedata
from collections.abc import Iterable

PLAIN = re.compile(r"(?!(?:null|true|false|nan|inf)$)[a-z_][\w./:@%?-]*", re.IGNORECASE | re.ASCII)  # a text, quoted or not


def printable(text: str) -> str:
    r"""`text` with what a terminal would obey or could not show as an escape: a control character, a mark that turns the
    direction of writing, half a surrogate pair. Line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in "\n\t" else _escaped(letter) for letter in text)


def command_line(words: Iterable[str]) -> str:
    """Words as somebody types them to a shell. Quoted is only what needs it: a plain text keeps no quotes of its own either, as
    `dataset.text='https://…'` has them, which is the same text without.
    """
    return " ".join(map(_typed, words))


def _typed(word: str) -> str:
    key, _, value = word.partition("=")
    if PLAIN.fullmatch(value[1:-1]) and value[0] == value[-1] and value[0] in "'\"":
        word = f"{key}={value[1:-1]}"
    if "'" in word and not set('"$`\\!') & set(word):
        return f'"{word}"'
    return shlex.quote(word)


def shortened(text: str, most: int = 2000) -> str:
    """`text`, or its beginning and its end where it is longer than anybody reads."""
    return text if len(text) <= most else f"{text[: most - 200]} … {text[-200:]}"


def is_hostile(text: str) -> bool:
    """Whether there is in it what nobody types: control characters other than line ends and tabs, or bytes that are no text."""
    return not text.isprintable() and any(unicodedata.category(x) in ("Cc", "Cs") and x not in "\n\r\t" for x in text)


def speak_safely() -> None:
    """From now on what the terminal's encoding does not have is written as an escape, and what a closed stream was given is
    lost, instead of ending the program.
    """
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()
