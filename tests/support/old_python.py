"""Syntax that the oldest interpreters cannot parse."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import List

_MODERN = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Nonlocal)


def modern_nodes(path: Path) -> List[ast.AST]:
    """Return the syntax of a file that Python 2.7 does not have."""
    return [
        node
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 4)))
        if isinstance(node, _MODERN)
        or (isinstance(node, ast.FunctionDef) and node.returns)
        or (isinstance(node, ast.arg) and node.annotation)
    ]
