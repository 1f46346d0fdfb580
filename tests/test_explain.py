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
from genexp.measures.endings import suspicious
from genexp.measures.record import measures
from genexp.registry import models, parts_of
from genexp.runs.words import Words as Said
from genexp.summary import results_table

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


def words_of_measure(name: str) -> dict[str, Any]:
    return next(record.words() for record in measures.all() if record.name == name)


def test_a_measure_says_its_unit_where_its_meaning_would_say_another() -> None:
    units = {name: told(name, words_of_measure(name.partition("/")[0])).unit for name in UNITS_SAID}
    assert units == UNITS_SAID
    losses = {record.needs.objective: record.words()["unit"] for record in measures.all() if record.name == "heldout_loss"}
    assert losses == {"nll": "nats", "bound": "nats", "reverse_kl": "nats", "flow_matching": "(units of x)²", None: ""}


UNITS_SAID = {
    "chi2/1d": "",
    "chi2/2d": "",
    "chi2/3d": "",
    "lowest_bits": "",
    "runs_test": "",
    "c2st": "0 to 1",
    "chi2/1d/p": "0 to 1",
    "lowest_bits/p": "0 to 1",
    "runs_test/p": "0 to 1",
    "transformed/ks/p": "0 to 1",
    "divergence/slide/reverse_kl": "nats",
    "divergence/slide/tv": "",
    "divergence/slide/w1": "units of x",
    "divergence/slide/w2": "units of x",
    "divergence/slide/mmd2": "",
    "divergence/slide/fisher": "1/(units of x)²",
    "divergence_estimate/forward_kl/known/64d": "nats",
    "divergence_bias/w1/8d": "units of x",
    "ess_forward": "0 to 1",
    "share_variation": "0 to 1",
    "bits_per_dim_iw8": "bits",
    "modes_found": "",
    "magnetisation/sigmas": "σ",
    "log_partition/back": "nats",
    "log_partition/effective": "0 to 1",
}


def test_a_run_of_an_earlier_version_has_the_units_of_today_and_where_those_are_many_none() -> None:
    said = {name: {"meaning": words_of_measure(name)["meaning"]} for name in ("lowest_bits", "ess_forward", "heldout_loss")}
    assert [told(name, words).unit for name, words in said.items()] == ["", "0 to 1", ""]
    assert told("of_a_plugin", {"meaning": "χ² of the lowest bits over its degrees of freedom"}).unit == ""
    assert told("of_a_plugin", {"meaning": "how often it rises"}).unit == ""


@pytest.mark.parametrize("unit", [3, [], {"": 3}, {"part": "s"}, None])
def test_a_unit_that_is_no_text_is_none(unit: Any) -> None:
    assert told("of_a_plugin", {"meaning": "x", "unit": unit}).unit == ""
    assert told("of_a_plugin/part", {"meaning": "x", "unit": {"": "s", "part": "m"}}).unit == "m"
    assert len(told("of_a_plugin", {"meaning": "x", "unit": "m" * 999}).unit) == 40


def test_a_number_with_an_ending_is_told_of_by_its_ending() -> None:
    words = Said({"ks": words_of_measure("ks"), "diversity": words_of_measure("diversity"), "energy_error": {"meaning": "y"}})
    assert words.meaning("ks/p").startswith("p-value of ks:")
    assert told("ks/p", words_of_measure("ks")).direction == ""
    assert told("ks", words_of_measure("ks")).arrow == "="
    assert words.meaning("ks/inner/p").startswith("p-value of ks/inner:")
    assert words.meaning("ks/hmc") == "ks by Hamiltonian Monte Carlo, the reference"
    assert words.meaning("ks/hmc_error") == "the standard error of ks/hmc"
    assert words.meaning("ks/other").startswith("largest gap")
    assert words.meaning("diversity/distinct") == "diversity: share of samples that are equal to no other"
    assert words.meaning("energy_error") == "y"  # a measure of that name, and no standard error
    assert words.meaning("p") == words.meaning("of_nobody/p") == words.meaning("of_nobody_error") == ""


@pytest.mark.parametrize(
    ("name", "value", "strange"),
    [
        *[("ks/p", 0.0, True), ("ks/p", 0.001, False), ("ks", 0.0, False), ("ks/p", None, False), ("p", 0, True)],
        *[("two_point/0/sigmas", -7.5, True), ("two_point/0/sigmas", 2.0, False), ("ks/p", "none", False)],
    ],
)
def test_what_chance_hardly_does_is_suspicious(name: str, value: Any, strange: bool) -> None:
    assert suspicious(name, value) is strange
    assert ("suspicious" in results_table({name: value})) is strange


def test_homonyms_are_told_apart_by_what_they_mean() -> None:
    """There is a `kl` by quadrature and one over samples of a teacher: each cannot see something else."""
    found = {told("kl", record.words()).cannot_see for record in measures.all() if record.name == "kl"}
    assert len(found) == 2
    assert told("kl", {"meaning": "of a plugin", "better": "lower"}).cannot_see == ""
    assert told("kl", {"meaning": "nats", "better": "lower"}).direction == "lower is better"
    assert told("mine", {"meaning": "x", "cannot_see": ["lost_mode"]}).cannot_see == "lost mode"
