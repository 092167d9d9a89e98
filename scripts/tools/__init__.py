"""The pinned Go tools: what they are, how they are built, where they lie.

``ensure("helm")`` gives the path of a tool and builds it first if need be.
"""

from scripts.tools.build import ensure, ensure_all, helm_environment, helm_folders
from scripts.tools.catalog import TOOLS, Tool

__all__ = ["TOOLS", "Tool", "ensure", "ensure_all", "helm_environment", "helm_folders"]
