"""The library jsonschema, without what checks ``format: iri``.

It reads a grammar when it is imported, which takes two seconds of every process. That is there for check-jsonschema; no
schema of this project has that format.
"""

import sys
from typing import Any

GRAMMAR = "rfc3987_syntax"

_modules: dict[str, Any] = sys.modules
_there = GRAMMAR in _modules
if not _there:
    _modules[GRAMMAR] = None  # as if it were not installed

from jsonschema import Draft7Validator, FormatChecker, ValidationError, validators  # noqa: E402

if not _there:
    del _modules[GRAMMAR]

__all__ = ["Draft7Validator", "FormatChecker", "ValidationError", "validators"]
