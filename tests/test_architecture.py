"""Who may import whom, and who may load torch: read from the source, and from a fresh interpreter where it counts."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TORCH = {"torch", "torchvision"}
SERVICE = ("backend", "fastapi", "starlette", "uvicorn", "flask", "redis", "rq", "requests", "label_studio_ml")

# module prefix -> module prefixes that it may never import, at the top or inside a function
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "wsol_core": SERVICE,
    "wsol_core.records": ("wsol_core.methods", "wsol_core.training", "wsol_core.predictor"),
    "wsol_core.config": ("wsol_core.methods", "wsol_core.training", "wsol_core.predictor"),
    "wsol_core.methods": ("wsol_core.training", "wsol_core.predictor", "wsol_core.evaluation", "wsol_core.datasets"),
    "wsol_core.training": ("wsol_core.evaluation", "wsol_core.box_metrics", "wsol_core.pixel_metrics"),
    "backend.settings": ("backend",),
    "backend.errors": ("backend",),
    "backend.labelstudio": ("backend.storage", "backend.jobs", "backend.services", "backend.web", "backend.wiring"),
    "backend.storage": ("backend.labelstudio", "backend.jobs", "backend.services", "backend.web", "backend.wiring"),
    "backend.jobs.queue": ("backend.jobs.tasks", "backend.services", "backend.web", "backend.wiring"),
    "backend.jobs.tasks": ("backend.services", "backend.web", "backend.wiring", "backend.jobs.worker"),
    "backend.jobs.callbacks": ("backend.jobs.tasks", "backend.services", "backend.web", "backend.wiring"),
    "backend.services": ("backend.jobs.tasks", "backend.jobs.worker", "backend.web", "backend.wiring"),
    "backend.web": ("backend.storage", "backend.jobs", "backend.labelstudio", "backend.wiring", "backend.commands"),
    "backend.model": (
        "backend.web",
        "backend.jobs",
        "backend.labelstudio",
        "backend.storage",
        "backend.commands",
        "backend.cli",
    ),
}
# label-studio-ml's server is the only way in; the service itself does without it.
LABEL_STUDIO_ML = ("backend.model", "backend.model_server", "backend._wsgi", "label_studio_ml")
# Only these may be the way from the backend into torch; the commands and the doctor import it when they run.
MAY_NAME_TORCH_CODE = ("backend.jobs.tasks", "backend.commands", "backend.doctor.machine")
MAY_READ_ENVIRONMENT = ("backend.settings",)
LOADS_NO_TORCH = (
    "wsol_core",
    "wsol_core.records",
    "wsol_core.config",
    "wsol_core.errors",
    "backend.cli",
    "backend.wiring",
    "backend.jobs.callbacks",
    "backend.model_server",
)


@dataclass(frozen=True)
class Import:
    """`module` names what is imported (`from a import b` gives a.b); `at_load` is False inside functions."""

    module: str
    at_load: bool


def is_under(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)


def read_imports(node: ast.AST, at_load: bool = True) -> list[Import]:
    """Every import below `node`; those for type checkers only are no imports."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return [found for child in node.orelse for found in read_imports(child, at_load)]
    if isinstance(node, ast.Import):
        return [Import(alias.name, at_load) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [Import(f"{node.module}.{alias.name}", at_load) for alias in node.names]
    inside = at_load and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    return [found for child in ast.iter_child_nodes(node) for found in read_imports(child, inside)]


def reads_environment(tree: ast.AST) -> bool:
    names = {"environ", "environb", "getenv", "putenv"}
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os")
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names})
        for node in ast.walk(tree)
    )


@functools.cache
def sources() -> dict[str, ast.Module]:
    """Module name -> syntax tree, for both packages."""
    found = {}
    for package in ("wsol_core", "backend"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


@functools.cache
def imports_of(module: str) -> tuple[Import, ...]:
    return tuple(read_imports(sources()[module]))


def owner(imported: str) -> str | None:
    """The module of ours that `imported` names, itself or something in it."""
    name = imported
    while name and name not in sources():
        name = name.rpartition(".")[0]
    return name or None


def loaded_with(module: str) -> set[str]:
    """All modules of ours, and the outside names, that importing `module` loads."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in sources():
            waiting += [owner(found.module) or found.module for found in imports_of(name) if found.at_load]
            waiting += [name.rpartition(".")[0]] if "." in name else []
    return seen


def loads_torch(module: str) -> bool:
    return any(name.partition(".")[0] in TORCH for name in loaded_with(module))


def test_no_module_imports_what_it_must_not_know() -> None:
    broken = [
        f"{module} imports {found.module}"
        for module in sources()
        for prefix, forbidden in FORBIDDEN.items()
        if is_under(module, (prefix,))
        for found in imports_of(module)
        if is_under(found.module, forbidden) and not is_under(found.module, (prefix,))
    ]
    assert broken == []


def test_only_jobs_and_commands_of_the_backend_name_code_that_loads_torch() -> None:
    broken = [
        f"{module} imports {found.module}"
        for module in sources()
        if is_under(module, ("backend",)) and not is_under(module, MAY_NAME_TORCH_CODE)
        for found in imports_of(module)
        if not is_under(found.module, ("backend",)) and loads_torch(owner(found.module) or found.module)
    ]
    assert broken == []


def test_only_the_adapter_itself_knows_label_studio_ml() -> None:
    broken = [
        f"{module} imports {found.module}"
        for module in sources()
        if not is_under(module, LABEL_STUDIO_ML)
        for found in imports_of(module)
        if is_under(found.module, LABEL_STUDIO_ML)
    ]
    assert broken == []


def test_only_settings_reads_the_environment() -> None:
    readers = [name for name, tree in sources().items() if reads_environment(tree)]
    assert [name for name in readers if not is_under(name, MAY_READ_ENVIRONMENT)] == []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    circles = [
        f"{module} <-> {known}"
        for module in sources()
        for found in imports_of(module)
        if found.at_load and (known := owner(found.module)) and known != module
        if not module.startswith(known + ".") and module in loaded_with(known)
    ]
    assert circles == []


def test_every_module_says_what_lives_in_it() -> None:
    assert [name for name, tree in sources().items() if not ast.get_docstring(tree)] == []


@pytest.mark.parametrize("module", LOADS_NO_TORCH)
def test_importing_it_does_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit(sum(name in sys.modules for name in {sorted(TORCH)}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_reader_sees_imports_in_functions_and_skips_those_for_type_checkers() -> None:
    source = """
from typing import TYPE_CHECKING
import a.b
if TYPE_CHECKING:
    import unseen
def f():
    from c import d
"""
    found = read_imports(ast.parse(source))
    assert found == [Import("typing.TYPE_CHECKING", True), Import("a.b", True), Import("c.d", False)]


def test_the_reader_sees_every_way_to_the_environment() -> None:
    ways = ("import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ")
    assert [reads_environment(ast.parse(way)) for way in ways] == [True, True, True]
    assert not reads_environment(ast.parse("import os\nos.cpu_count()"))
