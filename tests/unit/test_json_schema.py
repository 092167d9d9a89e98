"""The library that every schema check imports."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["scripts.json_schema", "scripts.schema.validate", "scripts.kubernetes_schemas"])
def test_no_grammar_is_read_to_check_a_schema(module: str) -> None:
    asked = f"import sys, {module}; print('rfc3987_syntax' in sys.modules, 'lark' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]
