"""What the commands say."""

import importlib

import pytest

from scripts import cli
from scripts.console import UserError, seconds, step


@pytest.mark.parametrize(
    ("duration", "text"), [(0.44, "0.4 s"), (12.4, "12 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s")]
)
def test_a_duration_reads_as_people_say_it(duration: float, text: str) -> None:
    assert seconds(duration) == text


def test_a_step_says_what_it_does_and_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    with step("fetch [things]"):
        pass
    began, ended = capsys.readouterr().out.splitlines()
    assert began.strip() == "... fetch [things]"
    assert ended.strip().startswith("✓ fetch [things]")
    assert ended.endswith(" s")


def test_a_step_that_fails_says_so_and_lets_the_error_through(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), step("try"):
        raise ValueError("no")
    assert "✗ try failed after" in capsys.readouterr().out


def test_a_quiet_step_speaks_only_of_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with step("hush", quiet=True):
        pass
    assert capsys.readouterr().out == ""


def test_an_error_of_the_user_has_what_why_and_fix(capsys: pytest.CaptureFixture[str]) -> None:
    UserError("broken [here]", why="because", fix="type this").print()
    assert capsys.readouterr().err.splitlines() == ["error: broken [here]", "  why: because", "  fix: type this"]


def test_an_error_of_the_user_ends_the_command_with_one_and_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["vllm-charts", "tools", "path", "holm"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_group_that_cannot_be_imported_breaks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = importlib.import_module

    def broken(name: str) -> object:
        if name.startswith("scripts.plan"):
            raise ImportError(name)
        return imported(name)

    monkeypatch.setattr(importlib, "import_module", broken)
    cli.build(["tools", "list"])
    with pytest.raises(ImportError):
        cli.build(["plan"])


def test_a_group_without_a_module_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.GROUPS, "nothing", "There is no such module.")
    names = [group.name for group in cli.build([]).registered_groups]
    assert "nothing" not in names
    assert "tools" in names
