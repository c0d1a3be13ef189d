"""Values of a config's text, read without running it."""
import ast
from collections.abc import Collection
from typing import Any


def read_values(text: str, names: Collection[str]) -> dict[str, Any]:
    """Read some of the values that a config's text assigns.

    Args:
        text (str): The config as mmengine writes it into a checkpoint.
        names (Collection[str]): Which values. Others may hold infinities,
            which are written as a name and are no data.

    Returns:
        dict[str, Any]: Those of them that are there and not None.

    Raises:
        ValueError: If a statement assigns nothing, or a value is more than
            data; a SyntaxError or RecursionError if it is no config at all.
    """
    values = {}
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Assign):
            raise ValueError(f'line {statement.lineno} is no value')
        (target, ) = statement.targets
        name = ast.unparse(target)
        if name in names:
            value = ast.literal_eval(_DictCalls().visit(statement.value))
            if value is not None:
                values[name] = value
    return values


class _DictCalls(ast.NodeTransformer):
    """``dict(a=1)`` and ``dict({'b.c': 1})`` to ``{...}``.

    Configs write the second where a key is no name.
    """

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace a call; any other call stays, and is refused."""
        self.generic_visit(node)
        keys = [keyword.arg for keyword in node.keywords]
        if ast.unparse(node.func) != 'dict' or None in keys:
            return node
        match node.args:
            case []:
                return ast.Dict([ast.Constant(key) for key in keys],
                                [keyword.value for keyword in node.keywords])
            case [ast.Dict() as argument] if not keys:
                return argument
        return node
