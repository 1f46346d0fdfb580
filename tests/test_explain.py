"""What the report says of a model: every one has its equation and its sentence, and they are what a browser can draw."""

import inspect
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from genexp.explain.equations import mathml
from genexp.explain.model import explain
from genexp.explain.numbers import told, unit_of
from genexp.explain.sections import Words, words_of
from genexp.measures.record import measures
from genexp.registry import models, parts_of

MATHML = "{http://www.w3.org/1998/Math/MathML}"


def everything() -> Iterator[tuple[str, Words]]:
    """The words of each model, and of each objective that a model may be trained by."""
    for name in models.names():
        if models[name].__module__.startswith("genexp."):  # and no plugin of another test
            yield name, words_of(models[name])
            if registry := parts_of(models[name]).get("objective"):
                yield from ((f"{name} {each}", words_of(registry[each])) for each in registry.names())


def test_no_model_and_no_objective_lacks_its_sentence_and_its_equation() -> None:
    for name, words in everything():
        assert words.equations, f"{name}: its docstring has no section `Equation:` (see genexp/explain/sections.py)"
        assert 40 < len(words.short) <= 260, f"{name}: its docstring has no section `In short:`, or a long one"
        assert words.short.endswith("."), name
        assert words.first, name


def test_what_is_minimised_is_said_of_every_model_that_learns() -> None:
    for name in models.names():
        if models[name].__module__.startswith("genexp."):
            words, chosen = words_of(models[name]), "objective" in parts_of(models[name])
            learns = not words.short.startswith("Nothing is learnt")
            assert learns == (bool(words.objective) or chosen), name
            assert not (words.objective and chosen), name


def test_a_model_that_learns_nothing_says_so() -> None:
    for name in models.names():
        fitter = getattr(models[name], "fitter", "gradient")
        if inspect.isclass(models[name]) and fitter == "chain":
            assert words_of(models[name]).short.startswith("Nothing is learnt"), name


def test_equations_are_mathml_with_no_latex_left() -> None:
    for name, words in everything():
        for latex in (*words.equations, *words.objective):
            tree = ElementTree.fromstring(mathml(latex))
            assert tree.tag == f"{MATHML}math", name
            text = "".join(tree.itertext())
            assert not set(text) & set("\\{}_^$"), (name, text)
            assert len(text) < 140, (name, "too wide for a page")
            assert not set(latex) & set("−≥≤≈∞∝→‖"), (name, "in LaTeX these are commands: the library sets them as letters")


def test_a_function_stands_apart_from_its_argument() -> None:
    space = f"{MATHML}mspace"
    assert ElementTree.fromstring(mathml(r"\ln p")).find(f".//{space}") is not None
    assert ElementTree.fromstring(mathml(r"\ln(p)")).find(f".//{space}") is None
    for wrong in (r"\frac", "a_b_c", r"\left(", "{"):
        with pytest.raises(ValueError, match="no equation"):
            mathml(wrong)


def test_sections_of_a_docstring() -> None:
    def component() -> None:
        r"""It is this: a = b. It is more.

        Note: not a section.

        In short:
            One thing
            and another.

        Equation:
            a = b
                + c
            d = e

        Args:
            a: none.
        """

    assert words_of(component) == Words("It is this: a = b", "One thing and another.", ("a = b + c", "d = e"), ())
    assert words_of(lambda: None) == Words("", "", (), ())


def test_a_configuration_is_explained_by_its_model_its_objective_and_its_parts() -> None:
    settings: dict[str, Any] = models.validate({"name": "vae", "objective": {"name": "iwae"}, "prior": {"name": "flow"}})
    found = explain(settings)
    assert found is not None
    assert (found.name, found.objective_name) == ("vae", "iwae")
    assert r"\frac{1}{k}" in found.objective[0]
    assert {part.key: part.name for part in found.parts}["prior"] == "flow"
    assert any(part.key.startswith("prior.") for part in explain(models.validate({"name": "flow"})).parts) is False  # type: ignore[union-attr]
    made = explain(models.validate({"name": "made"}))
    assert made is not None
    assert made.objective
    assert not made.objective_name
    assert explain({"name": "of_a_plugin"}) is None
    assert explain({}) is None


def test_every_number_has_a_unit_that_its_meaning_says_and_most_a_blind_spot() -> None:
    units = {record.name: unit_of(record.meaning) for record in measures.all()}
    assert (
        units
        | {
            "nll": "nats",
            "bits_per_dim": "bits",
            "coverage": "0 to 1",
            "seconds_sample": "s",
            "samples_per_second": "1/s",
            "pca_angle": "°",
            "energy_gap": "kT",
            "sliced_wasserstein": "units of x",
            "frechet": "(units of x)²",
            "decoded_opencv": "",
            "r_hat": "",
            "parameters": "",
        }
        == units
    )
    (diversity,) = (record.words() for record in measures.all() if record.name == "diversity")
    assert (told("diversity", diversity).unit, told("diversity/distinct", diversity).unit) == ("", "0 to 1")
    (bits,) = (record.words() for record in measures.all() if "/xz: the compressor" in record.meaning)
    assert told("bits/xz", bits).unit == "bits"
    ours = [record for record in measures.all() if record.function.__module__.startswith("genexp.")]
    judged = [record for record in ours if record.headline is not None and record.better and not record.wall_clock]
    silent = {record.name for record in judged if not record.cannot_see}
    assert len(silent) < len(judged) / 3, silent


def test_homonyms_are_told_apart_by_what_they_mean() -> None:
    """There is a `kl` between densities and one of a posterior: each cannot see something else."""
    found = {told("kl", record.words()).cannot_see for record in measures.all() if record.name == "kl"}
    assert len(found) == 3
    assert told("kl", {"meaning": "of a plugin", "better": "lower"}).cannot_see == ""
    assert told("kl", {"meaning": "nats", "better": "lower"}).direction == "lower is better"
    assert told("mine", {"meaning": "x", "cannot_see": ["lost_mode"]}).cannot_see == "lost mode"
