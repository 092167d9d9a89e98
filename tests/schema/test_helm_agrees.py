"""Helm and the Python validator judge the same values alike: they read YAML alike, and both refuse or both take."""

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from scripts.console import UserError
from scripts.schema import values
from scripts.schema.generate import ChartSchema
from scripts.schema.validate import schema_of, validator
from tests.schema import probe

MODEL = "model: {id: org/model}"


class Case(NamedTuple):
    """Values of the corpus as they are typed, and what they are worth.

    Attributes:
        bare: nothing is laid under them.
        alone: Helm is asked about them in a call of their own: they are no YAML, or about what is not there.
    """

    name: str
    values: str
    good: bool
    bare: bool = False
    alone: bool = False

    def layers(self, folder: Path) -> list[Path]:
        """The case as files, the least that a model needs below it."""
        files = {"typed.yaml": self.values} if self.bare else {"model.yaml": MODEL, "typed.yaml": self.values}
        for name, text in files.items():
            (folder / name).write_text(text)
        return [folder / name for name in files]


def corpus() -> list[Case]:
    """Every case of ``corpus/*.yaml``."""
    files = sorted((Path(__file__).parent / "corpus").glob("*.yaml"))
    return [Case(**entry) for path in files for entry in yaml.safe_load(path.read_text())]


def named(cases: list[Case]) -> list[Any]:
    return [pytest.param(case, id=case.name.replace(" ", "-")) for case in cases]


TOGETHER = [case for case in corpus() if not (case.alone or case.bare)]
ALONE = [case for case in corpus() if case.alone or case.bare]


def python_takes(layers: list[Path]) -> bool:
    """Whether the Python side reads the files and finds the values good."""
    try:
        stated: dict[str, Any] = {}
        for layer in layers:
            stated = values.coalesce(stated, values.read(layer))
    except UserError:
        return False
    whole = values.coalesce(ChartSchema("vllm-model").defaults, stated)
    return bool(validator(schema_of("vllm-model")).is_valid(whole))


@pytest.mark.parametrize("case", named(corpus()))
def test_the_python_validator_judges_as_the_corpus_says(case: Case, tmp_path: Path) -> None:
    assert python_takes(case.layers(tmp_path)) is case.good


@pytest.mark.parametrize("helm", probe.HELMS)
def test_helm_judges_as_the_corpus_says(helm: str, tmp_path: Path) -> None:
    cases = {f"case-{number}": case for number, case in enumerate(TOGETHER)}
    refused = probe.refused(tmp_path, {name: case.values for name, case in cases.items()}, helm, below=MODEL)
    assert {case.name for name, case in cases.items() if name in refused} == {
        case.name for case in TOGETHER if not case.good
    }


@pytest.mark.parametrize("helm", probe.HELMS)
@pytest.mark.parametrize("case", named(ALONE))
def test_helm_judges_what_stands_alone_as_the_corpus_says(case: Case, helm: str, tmp_path: Path) -> None:
    chart = probe.make(tmp_path / "vllm-model")
    assert probe.takes(chart, case.layers(tmp_path), helm) is case.good


SCALARS = (Path(__file__).parent / "corpus" / "scalars.txt").read_text().split()
"""Plain and quoted scalars that YAML 1.1, YAML 1.2 and go-yaml read differently."""

NO_KEYS = {"~", "null", "Null", "{}", "[]"}


@pytest.mark.parametrize("helm", probe.HELMS)
def test_scalars_and_keys_are_read_as_helm_reads_them(helm: str, tmp_path: Path) -> None:
    as_values = [f"value{index}: {text}\n" for index, text in enumerate(SCALARS)]
    as_keys = [f"key{index}: {{{text}: 1}}\n" for index, text in enumerate(SCALARS) if text not in NO_KEYS]
    typed = tmp_path / "typed.yaml"
    typed.write_text("".join(as_values + as_keys))
    helms = probe.understood(probe.make(tmp_path / "chart", schema=False), [typed], helm)
    ours = values.read(typed)
    assert {key: (ours[key], helms.get(key)) for key in ours if ours[key] != helms.get(key)} == {}


@pytest.mark.parametrize("helm", probe.HELMS)
def test_values_are_laid_over_defaults_as_helm_does(helm: str, tmp_path: Path) -> None:
    chart = probe.make(tmp_path / "chart", schema=False)
    default = {"group": {"a": 1, "b": {"c": 2, "d": 3}, "list": [1, 2], "map": {}}, "top": "x"}
    (chart / "values.yaml").write_text(probe.as_text(default))
    typed = tmp_path / "typed.yaml"
    typed.write_text("group: {b: {c: null, e: 4}, list: [3], map: {k: null}}\ntop: null\nnew: {k: null}\n")
    assert values.coalesce(default, values.read(typed)) == probe.understood(chart, [typed], helm)


@pytest.mark.parametrize("text", [".inf", "-.inf", ".NaN"])
def test_numbers_that_json_cannot_hold_are_refused_by_both(text: str, tmp_path: Path) -> None:
    chart = probe.make(tmp_path / "chart", schema=False)
    typed = tmp_path / "typed.yaml"
    typed.write_text(f"a: {text}\n")
    assert not probe.takes(chart, [typed], "helm")
    with pytest.raises(UserError, match="not a number that JSON"):
        values.read(typed)


def test_the_corpus_has_good_and_bad_values() -> None:
    verdicts = [case.good for case in corpus()]
    assert min(verdicts.count(True), verdicts.count(False)) > len(verdicts) / 4


def test_names_of_cases_are_unique() -> None:
    names = sorted(case.name for case in corpus())
    assert not [left for left, right in itertools.pairwise(names) if left == right]
