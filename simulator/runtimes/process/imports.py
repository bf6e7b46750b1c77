"""What a script imports, read from its text without running any of it: what can be had ready before an attempt begins.

The order is that of the text, and what a script sets in its environment by constants on the way counts, as libraries
read it when they are imported (TensorFlow's TF_ENABLE_ONEDNN_OPTS changes results). Where it sets something else than a
constant, the list ends: from there on the imports are the attempt's own. A reading of text can be wrong (a function
that is never called, a branch not taken); whether that changes results, `explore.zygote_proof` decides by running it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ENVIRONMENTS = ("os.environ", "environ")
_SETTERS = frozenset({"setdefault", "update", "pop", "putenv", "unsetenv"})


@dataclass(frozen=True)
class Preload:
    """`statements`: Python statements in order; those that set the environment begin with `os.`. `own`: top-level names
    of the source folder's own modules, which are never imported ahead: they may do things, and must see /opt/ml."""

    statements: tuple[str, ...]
    own: frozenset[str]


def preload_of(source_dir: Path, entry_script: str) -> Preload:
    """What `entry_script` and the folder's own modules that it imports take from elsewhere. Raises SyntaxError,
    ValueError (no text) and OSError where the entry script cannot be read."""
    folder = (source_dir / entry_script).parent  # sys.path[0]
    reader = _Reader(folder, own_names(folder))
    statements = tuple(dict.fromkeys(reader.read(source_dir / entry_script, "")))
    return Preload(statements, reader.own)


def own_names(folder: Path) -> frozenset[str]:
    """The top-level modules and packages that a script in this folder finds beside it, whatever else is installed."""
    return frozenset(
        path.name.partition(".")[0]
        for path in folder.iterdir()
        if path.suffix in (".py", ".so") or (path / "__init__.py").is_file()
    )


def _namespaces(folder: Path) -> frozenset[str]:
    """Folders that are packages without an __init__.py, unless another package of that name is installed."""
    return frozenset(path.name for path in folder.iterdir() if path.is_dir() and any(path.glob("*.py")))


class _Opaque(Exception):
    """The environment is set to what only running the script tells."""


class _Reader:
    def __init__(self, folder: Path, own: frozenset[str]) -> None:
        self._folder, self.own = folder, own
        self._beside = own | _namespaces(folder)
        self._read: set[Path] = set()
        self._ended = False

    def read(self, file: Path, package: str) -> Iterator[str]:
        """The statements of one file, `package` being the dotted name of the package that it is in."""
        if file in self._read:
            return
        self._read.add(file)
        tree = ast.parse(file.read_bytes(), str(file))
        yield from self._walk(tree, package)

    def _walk(self, node: ast.AST, package: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if self._ended:
                return
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from self._walk_all(child.orelse, package)
            elif isinstance(child, ast.Import):
                for alias in child.names:
                    yield from self._import(alias.name, package, f"import {alias.name}")
            elif isinstance(child, ast.ImportFrom):
                yield from self._import_from(child, package)
            elif isinstance(child, ast.ExceptHandler):
                continue  # what is imported where something else failed
            else:
                try:
                    setting = _sets_environment(child)
                except _Opaque:
                    self._ended = True
                    return
                if setting is not None:
                    yield setting
                else:
                    yield from self._walk(child, package)

    def _walk_all(self, nodes: list[ast.stmt], package: str) -> Iterator[str]:
        yield from self._walk(ast.Module(nodes, []), package)

    def _import_from(self, node: ast.ImportFrom, package: str) -> Iterator[str]:
        names = [alias.name for alias in node.names]
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if package else []
            base = ".".join([*above, *([node.module] if node.module else [])])
        else:
            base = node.module or ""
        if base == "__future__":
            return
        if self._is_own(base) or node.level:
            for module in [base, *(f"{base}.{name}" if base else name for name in names)]:
                yield from self._own_module(module)
        elif names == ["*"]:
            yield f"import {base}"
        else:
            yield from (f"from {base} import {name}" for name in names)

    def _import(self, module: str, package: str, statement: str) -> Iterator[str]:
        if not self._is_own(module):
            yield statement
            return
        parts = module.split(".")
        for count in range(1, len(parts) + 1):
            yield from self._own_module(".".join(parts[:count]))

    def _own_module(self, module: str) -> Iterator[str]:
        """An own module's statements, where there is such a file; a name of something else within a module has none."""
        if not module:
            return
        path = self._folder / PurePosixPath(*module.split("."))
        for file, package in ((path / "__init__.py", module), (path.with_suffix(".py"), module.rpartition(".")[0])):
            if file.is_file():
                try:
                    yield from self.read(file, package)
                except (SyntaxError, ValueError):
                    self._ended = True  # the script will fail there
                return

    def _is_own(self, module: str) -> bool:
        return module.partition(".")[0] in self._beside


def _sets_environment(node: ast.AST) -> str | None:
    """The statement that sets the environment as this one does; None where it does not. Raises _Opaque."""
    match node:
        case ast.Assign(targets=targets) if any(_is_environment(t) for t in targets):
            if len(targets) != 1 or not _is_constant(node.value) or not _is_constant(targets[0]):
                raise _Opaque
            key = targets[0].slice  # type: ignore[attr-defined]  # _is_environment saw a Subscript
            return f"os.environ[{ast.unparse(key)}] = {ast.unparse(node.value)}"
        case ast.AugAssign(target=target) if _is_environment(target):
            raise _Opaque
        case ast.Delete(targets=targets) if any(_is_environment(target) for target in targets):
            if not all(_is_constant(target) for target in targets):
                raise _Opaque
            return "; ".join(
                f"os.environ.pop({ast.unparse(target.slice)}, None)"
                for target in targets
                if isinstance(target, ast.Subscript)
            )
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner, attr=attr)) as call) if attr in _SETTERS:
            if ast.unparse(owner) not in (*_ENVIRONMENTS, "os"):
                return None
            if not all(map(_is_constant, [*call.args, *(keyword.value for keyword in call.keywords)])):
                raise _Opaque
            arguments = ast.unparse(call).partition("(")[2]
            name = f"os.{attr}" if attr in ("putenv", "unsetenv") else f"os.environ.{attr}"
            return f"{name}({arguments}"
    return None


def _is_environment(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) in _ENVIRONMENTS


def _is_constant(node: ast.AST) -> bool:
    """Whether its value is in the text: constants, and dicts of them."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant)
    if isinstance(node, ast.Dict):
        return all(key is not None and _is_constant(key) for key in node.keys) and all(map(_is_constant, node.values))
    return isinstance(node, ast.Constant)
