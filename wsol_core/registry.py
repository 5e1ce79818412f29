"""Methods and backbones by name. Torch-free: the class of a method is imported when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, TypeVar

from wsol_core.errors import ConfigError

if TYPE_CHECKING:
    from wsol_core.methods.base import WsolMethod

ENTRY_POINTS = "boxstrap.methods"  # the group in which other packages name their methods
BUILT_IN = ("boxstrap", "ornet", "bas", "wsl_bg", "cam")  # each in wsol_core/methods/<name>.py
TIMM = "timm:"  # backbones whose names begin so are networks of timm
NEEDED = ("stages", "default_epochs", "strides")  # of every method's class

MethodClass = TypeVar("MethodClass", bound="type[WsolMethod]")

_registered: dict[str, type[WsolMethod]] = {}


@dataclass(frozen=True, slots=True)
class BackboneInfo:
    """has_weights: whether there are ImageNet weights for it; one without them always learns from scratch.

    downloads: whether torchvision has them; others have to lie in a folder. version: the ones to take where nobody says
    which; DEFAULT is torchvision's newest.
    """

    has_weights: bool = True
    downloads: bool = True
    version: str = "DEFAULT"


BACKBONES: Mapping[str, BackboneInfo] = {
    "mobilenet_v2": BackboneInfo(version="IMAGENET1K_V1"),  # what the documentation's figures were measured with
    "resnet18": BackboneInfo(),
    "resnet50": BackboneInfo(),
    "vgg16": BackboneInfo(),
    "mobilenet_v1": BackboneInfo(downloads=False),
    "inception_v3": BackboneInfo(),
    "tiny": BackboneInfo(has_weights=False, downloads=False),
}


class _Methods(Mapping[str, "type[WsolMethod]"]):
    """Every method by its name: built in, registered in this process, or named by an installed package.

    Names are known without importing anything; `METHODS[name]` imports the method and with it torch. The first name is
    the default's.

    Raises:
        KeyError: no method has the name.
        ConfigError: the package that names the method cannot be imported, or does not register it.

    Example:
        >>> "cam" in METHODS
        True
    """

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*BUILT_IN, *_registered, *_plugins())))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in BUILT_IN or name in _registered or name in _plugins()

    def __getitem__(self, name: str) -> type[WsolMethod]:
        if name in BUILT_IN:
            import_module(f"wsol_core.methods.{name}")
        elif name not in _registered and name in _plugins():
            _load(_plugins()[name])
        return _registered[name]

    def __repr__(self) -> str:
        return f"<methods: {', '.join(self)}>"


METHODS: Mapping[str, type[WsolMethod]] = _Methods()


def register_method(name: str) -> Callable[[MethodClass], MethodClass]:
    """Make a subclass of `WsolMethod` known by `name`, to `TrainConfig(method=name)` and to `Predictor.open`.

    Adding a method takes three steps:

    1. Write one file with a subclass of `WsolMethod` and decorate it with `@register_method("name")`. Its constructor
       takes `(backbone, num_classes, multi_label, pretrained)`.
    2. Make the file known. In a script or a notebook, importing it is enough. A package of your own names it in its
       pyproject.toml, and the command line and the service then know the method wherever that package is installed:

           [project.entry-points."boxstrap.methods"]
           name = "my_package.my_module"

       Within Boxstrap the file is wsol_core/methods/<name>.py, and the name stands in `wsol_core.registry.BUILT_IN`.
    3. Test it: tests/wsol_core/methods/test_all_methods.py holds for every method that is built in.

    Args:
        name: what settings, model cards and the command line call the method. Registering a class of the same module
            and name again replaces it, as running a notebook's cell twice does.

    Returns:
        A decorator that returns the class unchanged.

    Raises:
        ConfigError: another class has the name, or the class lacks `stages`, `default_epochs` or `strides`.

    Example:
        >>> @register_method("mine")
        ... class Mine(WsolMethod):
        ...     stages = ("classify",)
        ...     default_epochs = {"classify": 12}
        ...     strides = (4, 8, 16, 16)
    """

    def register(method: MethodClass) -> MethodClass:
        if missing := [part for part in NEEDED if not hasattr(method, part)]:
            raise ConfigError(f"Method {name!r} cannot be registered: {method.__name__} has no `{missing[0]}`; add it.")
        if (taken := _taken_by(name, method)) is not None:
            raise ConfigError(f"Method {name!r} is {taken} already; register {_home(method)} by another name.")
        _registered[name] = method
        return method

    return register


def check_method(name: str) -> None:
    """ConfigError where no method has the name."""
    if name not in METHODS:
        raise ConfigError(
            f"method {name!r} is unknown; choose one of {', '.join(METHODS)}, or import the module that registers it."
        )


def is_backbone(name: str) -> bool:
    """Whether `name` can be a backbone's: one of `BACKBONES`, or timm:NAME, of which only timm knows more."""
    return name in BACKBONES or re.fullmatch(rf"{TIMM}[\w.-]+", name) is not None


def check_backbone(name: str) -> None:
    """ConfigError where no backbone has the name."""
    if not is_backbone(name):
        raise ConfigError(
            f"backbone {name!r} is unknown; choose one of {', '.join(BACKBONES)}, or {TIMM}NAME for one of timm's."
        )


def backbone_info(name: str) -> BackboneInfo:
    """What there is to know of the backbone `name`, one of `BACKBONES` or timm:NAME."""
    check_backbone(name)
    return BACKBONES.get(name, BackboneInfo())


def _home(method: type[WsolMethod]) -> str:
    return f"{method.__module__}.{method.__qualname__}"


def _taken_by(name: str, method: type[WsolMethod]) -> str | None:
    """Whose name it is, where that is another class than `method`."""
    if name in BUILT_IN and method.__module__ != (module := f"wsol_core.methods.{name}"):
        return module
    if name in _registered and (home := _home(_registered[name])) != _home(method):
        return home
    return None


@cache
def _plugins() -> Mapping[str, EntryPoint]:
    return {found.name: found for found in entry_points(group=ENTRY_POINTS)}


def _load(plugin: EntryPoint) -> None:
    """Import what a package names, which registers the method."""
    package = plugin.dist.name if plugin.dist else plugin.value
    try:
        plugin.load()
    except Exception as error:  # whatever another package raises while it is imported
        raise ConfigError(
            f"Method {plugin.name!r} cannot be used: {plugin.value} of the package {package} fails to import "
            f"({type(error).__name__}: {error}). Repair or uninstall the package, or choose another method."
        ) from error
    if plugin.name not in _registered:
        raise ConfigError(
            f"Method {plugin.name!r} cannot be used: {plugin.value} of the package {package} does not register it; "
            f'decorate its class with @register_method("{plugin.name}").'
        )
