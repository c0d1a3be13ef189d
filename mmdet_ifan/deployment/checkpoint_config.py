"""The config that a checkpoint holds, read as data.

mmengine runs it: a config is a Python program, and a ``type`` in it may be
any function by its path. So neither is done with what a stranger may have
written.
"""
import ast
from collections.abc import Iterator

from mmdet import registry as mmdet_registry
from mmdet.utils import register_all_modules
from mmengine import registry as mmengine_registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import CheckpointLoader

from ..datasets.disk import DataError
from .peel_off import COMPANIONS, parts_of

#: What running a detector needs of a config.
PARTS = ('default_scope', 'model', 'test_dataloader', 'visualizer')
#: What a config may import: this package, and the files that it exports.
IMPORTS = ('mmdet_ifan', *(companion.file for companion in COMPANIONS))
#: Ours instead of what is in these files, which may be anybody's.
OURS = {companion.plain: companion.ours for companion in COMPANIONS}
#: mmcv's operators, which are in no registry.
OPERATORS = ('nms', 'soft_nms', 'RoIAlign', 'RoIPool')


def checkpoint_config(checkpoint: str) -> Config:
    """Read the config that a checkpoint holds.

    Args:
        checkpoint (str): File or address.

    Returns:
        Config: Its model, test data and visualizer.

    Raises:
        DataError: If it holds none, one without such a part, or one that is
            more than values and names of registered classes.
    """
    loaded = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    text = loaded.get('meta', {}).get('cfg')
    if not isinstance(text, str):
        raise DataError(f'{checkpoint} holds no config: give one with '
                        '--config.')
    try:
        return _read(text)
    except KeyError as error:
        raise DataError(f'The config in {checkpoint} has no {error.args[0]}: '
                        'give one with --config.') from error
    except (RecursionError, SyntaxError, TypeError, ValueError) as error:
        raise DataError(
            f'The config in {checkpoint} is not used ({error}): it would run '
            'code. Give a config of your own with --config.') from error


def _read(text: str) -> Config:
    """Read a config without running it; a KeyError is a part missing."""
    values = {}
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Assign):
            raise ValueError(f'line {statement.lineno} is no value')
        (target, ) = statement.targets
        name = ast.unparse(target)
        # The others may hold infinities, which are written as a name.
        if name in (*PARTS, 'custom_imports'):
            value = ast.literal_eval(_DictCalls().visit(statement.value))
            if value is not None:
                values[name] = value
    parts = {key: values[key] for key in PARTS}
    for module in values.get('custom_imports', {}).get('imports', []):
        if module not in IMPORTS:
            raise ValueError(f'it imports {module!r}')
    register_all_modules()
    known = {*_registered(), *OPERATORS, *OURS}
    for part in parts_of(parts):
        name = part['type']
        if not isinstance(name, str) or name.removeprefix(
                'mmdet.') not in known:
            raise ValueError(f'{name!r} is no registered class')
        part['type'] = OURS.get(name, name)
    return Config(parts)


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


def _registered() -> Iterator[str]:
    """Names of all classes in the registries of mmengine and mmdet."""
    for module in (mmengine_registry, mmdet_registry):
        for value in vars(module).values():
            if isinstance(value, Registry):
                yield from value.module_dict
