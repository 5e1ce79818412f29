"""One class under several names: how names are written, and which labels of several controls mean the same class.

People write `Bär` in two Unicode forms, leave spaces at an end, and store numbers; configs name one class by value and
alias, in upper and in lower case, and by `predicted_values`. Whoever compares names does it here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_UNSEEN = dict.fromkeys(map(ord, "\u200b\u200e\u200f\ufeff"))  # what copying from pages and tables leaves behind

SEPARATOR = " / "  # between the parts of a path, where the last one alone is the name of several


def as_text(value: object) -> str | None:
    """Return what was meant as a name: text, or a number or truth as people write it; None of everything else.

    Example:
        >>> as_text(1.0)
        '1'
    """
    if not isinstance(value, str | int | float):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def tidy(name: str) -> str:
    """Return a name in Unicode's composed form, without spaces at its ends, and with visible single ones inside."""
    return " ".join(unicodedata.normalize("NFC", name).translate(_UNSEEN).split())


def loose(name: str) -> str:
    """Return a tidy name in which case means nothing."""
    return unicodedata.normalize("NFC", tidy(name).casefold())


HOW_ALIKE: tuple[Callable[[str], str], ...] = (str, tidy, loose)  # the surest first


class NameIndex:
    """What names stand for; of several that are alike the first counts."""

    def __init__(self, known: Iterable[tuple[str, str]]) -> None:
        """Args: known: (name, meaning)."""
        pairs = list(known)
        self._levels = [(key, {key(name): meaning for name, meaning in reversed(pairs)}) for key in HOW_ALIKE]

    def find(self, name: str) -> str | None:
        """Return what a name stands for, the surest way of comparing first; None where it is new."""
        return next((known[wanted] for key, known in self._levels if (wanted := key(name)) in known), None)


@dataclass(slots=True)
class ClassGroup:
    """The labels of several controls that mean one class, by control, and the further names of these labels."""

    labels: dict[int, str] = field(default_factory=dict)
    synonyms: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The class, as the first of its controls writes it."""
        return next(iter(self.labels.values()))

    def names(self) -> Iterator[str]:
        """Return labels and synonyms, each once."""
        return iter(dict.fromkeys((*self.labels.values(), *self.synonyms)))


def group_labels(controls: Sequence[Mapping[str, Sequence[str]]]) -> list[ClassGroup]:
    """Return the classes of all controls. Two labels of one control are two classes, however alike they are.

    Args: controls: each label of a control, with its synonyms.
    """
    groups = _Groups()
    for number, labels in enumerate(controls):
        waiting = list(labels)
        for key in HOW_ALIKE:
            waiting = [each for each in waiting if not groups.join(number, each, labels[each], key)]
        waiting = [each for each in waiting if not groups.join(number, each, labels[each], None)]
        for each in waiting:
            groups.add(number, each, labels[each])
    return groups.all


class _Groups:
    """Groups, found by their names: a config may have thousands of labels."""

    def __init__(self) -> None:
        self.all: list[ClassGroup] = []
        # By a way of comparing labels, or None for labels and synonyms loosely: name -> places of groups.
        self._places: dict[Callable[[str], str] | None, dict[str, set[int]]] = {key: {} for key in (*HOW_ALIKE, None)}

    def add(self, number: int, label: str, synonyms: Sequence[str]) -> None:
        """Begin a group with a label of a control."""
        self.all.append(ClassGroup({number: label}, list(synonyms)))
        self._know(len(self.all) - 1, label, synonyms)

    def join(self, number: int, label: str, synonyms: Sequence[str], key: Callable[[str], str] | None) -> bool:
        """Put a label into the first group that is alike and has none of its control; return whether there is one."""
        own = _names_by(key, label, synonyms)
        found = (place for name in own for place in self._places[key].get(name, ()))
        place = min((place for place in found if number not in self.all[place].labels), default=None)
        if place is None:
            return False
        self.all[place].labels[number] = label
        self.all[place].synonyms += synonyms
        self._know(place, label, synonyms)
        return True

    def _know(self, place: int, label: str, synonyms: Sequence[str]) -> None:
        for key, places in self._places.items():
            for name in _names_by(key, label, synonyms):
                places.setdefault(name, set()).add(place)


def _names_by(key: Callable[[str], str] | None, label: str, synonyms: Sequence[str]) -> set[str]:
    return {key(label)} if key is not None else set(map(loose, (label, *synonyms)))
