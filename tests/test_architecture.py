"""Who may import whom, and who may load torch: read from the source, and from a fresh interpreter where it counts."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TORCH = {"torch", "torchvision"}
SERVICE = ("backend", "fastapi", "starlette", "uvicorn", "flask", "redis", "rq", "requests", "label_studio_ml")

# Rooms, floor by floor from the ground up: a room may import those of lower floors, and none of its own floor.
WSOL_CORE_FLOORS = (
    ("wsol_core",),  # the files of the root
    ("wsol_core.ops",),
    ("wsol_core.data", "wsol_core.networks", "wsol_core.synthetic"),
    ("wsol_core.datasets", "wsol_core.methods"),
    ("wsol_core.localization",),
    ("wsol_core.training", "wsol_core.evaluation", "wsol_core.exports"),
    ("wsol_core.recipes",),
)
BACKEND_FLOORS = (
    ("backend.schedules", "backend.setting_values"),
    (
        "backend.errors",
        "backend.settings",
        "backend.signals",
        "backend.terminal",
        "backend.templating",
        "backend.threads",
        "backend.wording",
    ),
    ("backend.basic_auth", "backend.storage"),
    ("backend.images", "backend.labelstudio", "backend.queueing", "backend.reports"),
    ("backend.jobs", "backend.processes", "backend.services"),
    ("backend.exports", "backend.web"),
    ("backend.wiring",),
    ("backend.doctor", "backend.model"),
    ("backend.commands", "backend.model_server"),
    ("backend.cli", "backend._wsgi"),
    ("backend.__main__",),
)
# Those that ask services, and leave queues, Label Studio's API and images to them.
ASK_SERVICES = ("backend.web", "backend.model", "backend.model_server")
BEHIND_SERVICES = ("backend.queueing", "backend.labelstudio", "backend.images", "backend.processes", "backend.jobs")
MOST_ROOMS, MOST_LINES, P90_FUNCTION_LINES = 14, 300, 20
# label-studio-ml's server is the only way in; the service itself does without it.
LABEL_STUDIO_ML = ("backend.model", "backend.model_server", "backend._wsgi", "label_studio_ml")
# Only these may be the way from the backend into torch; the commands and the doctor import it when they run.
MAY_NAME_TORCH_CODE = ("backend.jobs", "backend.commands", "backend.doctor.machine")
MAY_READ_ENVIRONMENT = ("backend.settings",)
LOADS_NO_TORCH = (
    "wsol_core",
    "wsol_core.records",
    "wsol_core.config",
    "wsol_core.errors",
    "wsol_core.registry",
    "backend.cli",
    "backend.wiring",
    "backend.queueing.callbacks",
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


def room_of(module: str) -> str:
    """A package below wsol_core or backend; the files of wsol_core's root are one room, those of backend's one each."""
    parts = module.split(".")
    if parts[0] == "wsol_core" and not (ROOT / "wsol_core" / "/".join(parts[1:2])).is_dir():
        return "wsol_core"
    return ".".join(parts[:2])


def floor_of(module: str, floors: Sequence[Sequence[str]]) -> int:
    return next(number for number, rooms in enumerate(floors) if room_of(module) in rooms)


def upward_imports(module: str, imported: Iterable[Import], floors: Sequence[Sequence[str]]) -> list[str]:
    """What `module` imports from its own floor or a higher one, other than its own room."""
    package = module.partition(".")[0]
    known = [name for each in imported if (name := owner(each.module)) and is_under(name, (package,))]
    return [
        f"{module} imports {name}"
        for name in known
        if room_of(name) != room_of(module) and floor_of(name, floors) >= floor_of(module, floors)
    ]


@pytest.mark.parametrize("floors", [WSOL_CORE_FLOORS, BACKEND_FLOORS])
def test_rooms_import_only_downward(floors: Sequence[Sequence[str]]) -> None:
    package = floors[0][0].partition(".")[0]
    modules = [name for name in sources() if is_under(name, (package,)) and name != package]
    assert [line for name in modules for line in upward_imports(name, imports_of(name), floors)] == []


def test_an_import_upward_is_found() -> None:
    source = """
from wsol_core.training.fit import fit
from wsol_core.ops import grabcut
def f():
    import wsol_core.evaluation
"""
    found = upward_imports("wsol_core.methods.bas", read_imports(ast.parse(source)), WSOL_CORE_FLOORS)
    assert found == [
        "wsol_core.methods.bas imports wsol_core.training.fit",
        "wsol_core.methods.bas imports wsol_core.evaluation",
    ]


@pytest.mark.parametrize(
    ("importers", "unknown"),
    [(("wsol_core",), SERVICE), (ASK_SERVICES, BEHIND_SERVICES)],
    ids=["wsol_core knows nothing of the service", "web and model ask services"],
)
def test_some_rooms_stay_unknown_to_others(importers: tuple[str, ...], unknown: tuple[str, ...]) -> None:
    broken = [
        f"{module} imports {found.module}"
        for module in sources()
        if is_under(module, importers)
        for found in imports_of(module)
        if is_under(found.module, unknown)
    ]
    assert broken == []


def test_rooms_files_and_functions_stay_small() -> None:
    rooms = {room_of(module) for module in sources() if is_under(module, ("wsol_core",))}
    assert len(rooms) <= MOST_ROOMS
    files = [path for package in ("wsol_core", "backend") for path in (ROOT / package).rglob("*.py")]
    assert [path.name for path in files if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES] == []
    lengths = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[len(lengths) * 9 // 10] <= P90_FUNCTION_LINES


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


def test_wsol_core_names_no_option_of_a_command_line_and_no_environment_variable() -> None:
    named = re.compile(r"(^|[ `])--[a-z]|\b(WSOL|BOXSTRAP|TRAIN|MODEL)_[A-Z]+")
    broken = [
        f"{module}: {node.value}"
        for module, tree in sources().items()
        if is_under(module, ("wsol_core",))
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and named.search(node.value)
    ]
    assert broken == []


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


@pytest.mark.slow
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
