"""Which annotation of a task counts, where there are several: the one rule that everything asks here.

The one marked as ground truth; else what most people say of the picture's classes, each by their newest annotation;
else the newest. Cancelled ones never count, nor does anything that is no annotation at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

# A key of every result that we wrote into a draft or an annotation. The editor knows it not, so it is gone as soon as a
# person has saved that, and what is left is theirs.
MARK = "boxstrap"
ACCEPTED = "accepted"  # its value in annotations that were accepted in bulk
DRAWN = "drawn"  # its value in what a person drew, where it is repeated beside masks for it; see missing_masks.py
WITH_MASKS = "-masks"  # the end of the version's name in predictions that repeat what a person drew

Json = Mapping[str, Any]


def listed(source: Json, key: str) -> list[Json]:
    """Return the objects in a list of a task, annotation or prediction; whatever else is there is passed over."""
    values = source.get(key)
    return [each for each in values if isinstance(each, Mapping)] if isinstance(values, list) else []


def is_accepted_in_bulk(annotation: Json) -> bool:
    """Return whether the annotation is a copy of a prediction that no person has saved since; see acceptance.py."""
    results = listed(annotation, "result")
    return bool(results) and all(each.get(MARK) == ACCEPTED for each in results)


def age_of(annotation: Json) -> tuple[str, int]:
    """Return what grows with the time of the last change (ISO 8601, all in one zone), then with the id."""
    changed = annotation.get("updated_at") or annotation.get("created_at")
    number = annotation.get("id")
    return (changed if isinstance(changed, str) else "", number if isinstance(number, int) else 0)


def newest_first(task: Json) -> list[Json]:
    """Return the annotations that were not cancelled, the one that was changed last first."""
    kept = (each for each in listed(task, "annotations") if not each.get("was_cancelled"))
    return sorted(kept, key=age_of, reverse=True)


def best_first(task: Json, said: Callable[[Json], frozenset[str]]) -> list[Json]:
    """Return the annotations that were not cancelled, the one that counts first.

    Args: said: the picture's classes, as an annotation has them; one without any takes no side.
    """
    kept = newest_first(task)[::-1]
    newest = {person_of(each): each for each in kept}
    votes: Counter[frozenset[str]] = Counter()
    if len(newest) > 2:  # of two who differ the newest counts
        votes.update(word for each in newest.values() if (word := said(each)))
    return sorted(
        kept,
        key=lambda each: (
            bool(each.get("ground_truth")),
            votes[said(each)] if newest[person_of(each)] is each else 0,
            age_of(each),
        ),
        reverse=True,
    )


def person_of(annotation: Json) -> str:
    """Return who made it; Label Studio sends a number, or a record of the user."""
    made = annotation.get("completed_by")
    return str(made.get("id") if isinstance(made, Mapping) else made)
