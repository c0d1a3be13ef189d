"""Read values from the text of a config without running it."""

import ast
from collections.abc import Collection
from typing import Any


def read_values(text: str, names: Collection[str]) -> dict[str, Any]:
    """Read some of the values that a config's text assigns.

    Args:
        text (str): The config as mmengine writes it into a checkpoint.
        names (Collection[str]): Names of the values to read. Other values
            may be infinite, which is written as a name and is not a literal.

    Returns:
        dict[str, Any]: The named values that exist and are not None.

    Raises:
        ValueError: If a statement is not an assignment, or a value is not a
            literal.
        SyntaxError: If the text is not Python; or a RecursionError.
    """
    values = {}
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Assign):
            raise ValueError(f'line {statement.lineno} is not an assignment')
        (target,) = statement.targets
        name = ast.unparse(target)
        if name in names:
            value = ast.literal_eval(_DictCalls().visit(statement.value))
            if value is not None:
                values[name] = value
    return values


class _DictCalls(ast.NodeTransformer):
    """Turn ``dict(a=1)`` and ``dict({'b.c': 1})`` into ``{...}``.

    Configs use the second form where a key is not an identifier.
    """

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace a call of dict; any other call stays and is refused."""
        self.generic_visit(node)
        keys = [keyword.arg for keyword in node.keywords]
        if ast.unparse(node.func) != 'dict' or None in keys:
            return node
        match node.args:
            case []:
                return ast.Dict(
                    [ast.Constant(key) for key in keys],
                    [keyword.value for keyword in node.keywords],
                )
            case [ast.Dict() as argument] if not keys:
                return argument
        return node
