"""What an expression of a settings module is: the texts in it, the values of a dict, and what its names were assigned.

`DATABASE_URL = f"postgresql://{user}@{host}/shop"` says little by itself: `host` was read from a variable further up.
A name that a module assigns once is followed to that expression, a few times over.
"""

import ast
import copy
from collections import Counter
from collections.abc import Iterator, Mapping

from kit.project.environment_names import nodes

PARTS_OF_TEXTS = ("replace", "startswith", "endswith", "removeprefix", "split", "partition")
"""Methods whose arguments are parts of a text, and no value of their own."""

FOLLOWED = 4
"""Names within the expressions of names are followed so far."""

UNKNOWN = "{}"
"""In a text: a part that is known only when the module runs."""

Assigned = Mapping[str, ast.expr]


def assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """The expressions of names that are assigned once in a module, wherever in it: its functions' names are their own.

    Lists and dicts are left out: they are no part of a value.
    """
    found: dict[str, ast.expr] = {}
    counts = Counter[str]()
    for node in _outside_functions(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                names = [name]
            case _:
                continue
        counts.update(names)
        if isinstance(value, ast.Constant | ast.JoinedStr | ast.Call | ast.BinOp | ast.BoolOp | ast.IfExp | ast.Name):
            found |= dict.fromkeys(names, value)
    return {name: value for name, value in found.items() if counts[name] == 1}


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _outside_functions(child)


def followed(node: ast.expr, known: Assigned, depth: int = FOLLOWED) -> ast.expr:
    """A copy of the expression with its names replaced by what they were assigned."""
    return _Follow(known, depth).visit(copy.deepcopy(node)) if known and depth else node


class _Follow(ast.NodeTransformer):
    def __init__(self, known: Assigned, depth: int) -> None:
        self._known = known
        self._depth = depth

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self._known.get(node.id)
        return node if value is None else followed(value, self._known, self._depth - 1)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Only its arguments: what is called is no value."""
        if isinstance(node.func, ast.Attribute) and node.func.attr in (*PARTS_OF_TEXTS, "format"):
            node.func.value = self.visit(node.func.value)
        node.args = [self.visit(one) for one in node.args]
        node.keywords = [ast.keyword(one.arg, self.visit(one.value)) for one in node.keywords]
        return node


def entry(value: ast.expr, name: str) -> ast.expr | None:
    """The value of that key of a dict, or of the keyword of `dict(...)`."""
    match value:
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return next((one for key, one in pairs if isinstance(key, ast.Constant) and key.value == name), None)
        case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
            return next((one.value for one in keywords if one.arg == name), None)
    return None


def texts(node: ast.AST) -> Iterator[str]:
    """The texts in an expression that are values: not the names of variables that it reads."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Subscript(value=owner):
            yield from texts(owner)
        case ast.JoinedStr(values=values):
            yield "".join(next(texts(part), UNKNOWN) for part in values)
        case ast.BinOp(op=ast.Add()) if (parts := list(_sum(node))) and not any(map(_is_list, parts)):
            yield "".join(next(texts(part), UNKNOWN) for part in parts)
        case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in PARTS_OF_TEXTS:
            yield from texts(owner)
        case ast.Call(args=[ast.Constant(value=str(first)), *rest], keywords=keywords) if first.isidentifier():
            for part in (*rest, *keywords):
                yield from texts(part)
        case _:
            for part in ast.iter_child_nodes(node):
                yield from texts(part)


def _sum(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _sum(left)
            yield from _sum(right)
        case _:
            yield node


def _is_list(node: ast.expr) -> bool:
    return isinstance(node, ast.List | ast.Tuple | ast.Dict | ast.ListComp)


def targets(node: ast.stmt) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []


def default_databases(tree: ast.Module) -> Iterator[tuple[ast.stmt, ast.expr, bool]]:
    """Of DATABASES["default"]: statement, value, and whether a branch decides. The value may have a name first."""
    statements = [(one, is_conditional) for one, is_conditional in nodes(tree) if isinstance(one, ast.stmt)]
    for statement, is_conditional in statements:
        for target in targets(statement):
            value = getattr(statement, "value", None)
            match target:
                case ast.Name(id="DATABASES"):
                    value = entry(value, "default") if value else None
                case ast.Subscript(value=ast.Name(id="DATABASES"), slice=ast.Constant(value="default")):
                    pass
                case _:
                    continue
            if isinstance(value, ast.Name):
                yield from (
                    (one, one.value, is_other or is_conditional)
                    for one, is_other in statements
                    if isinstance(one, ast.Assign) and value.id in map(ast.unparse, one.targets)
                )
            elif value is not None:
                yield statement, value, is_conditional
