from __future__ import annotations

import pytest

from backend.labelstudio.task_order import project_changes

NEW, OLD = "boxstrap-7-0003", "boxstrap-7-0002"
TITLE = "Boxstrap"


def changes(shown: str | None, sampling: str = "", order: str = "Sequential sampling") -> dict[str, str]:
    return project_changes({"model_version": shown, "sampling": order}, "7", NEW, sampling, TITLE)


@pytest.mark.parametrize("shown", [TITLE, "", None, "yolo", "boxstrap-77-0001", NEW])
def test_what_is_not_an_old_version_of_ours_stays(shown: str | None) -> None:
    assert changes(shown) == {}


@pytest.mark.parametrize("shown", [OLD, "boxstrap-7-untrained"])
def test_an_old_version_gives_way_to_the_new_one(shown: str) -> None:
    assert changes(shown) == {"model_version": NEW}


@pytest.mark.parametrize("shown", [TITLE, "", None, OLD, "yolo"])
def test_uncertainty_needs_the_very_version(shown: str | None) -> None:
    assert changes(shown, "uncertainty") == {"sampling": "Uncertainty sampling", "model_version": NEW}
    assert changes(NEW, "uncertainty", "Uncertainty sampling") == {}


@pytest.mark.parametrize(
    ("sampling", "order"), [("sequential", "Sequential sampling"), ("uniform", "Uniform sampling")]
)
def test_the_other_orders_go_back_to_what_the_backend_predicts(sampling: str, order: str) -> None:
    assert changes(NEW, sampling, "Uncertainty sampling") == {"sampling": order, "model_version": TITLE}
    assert changes("", sampling, "Uncertainty sampling") == {"sampling": order}


def test_without_a_backend_of_ours_the_version_stays_the_newest() -> None:
    assert project_changes({"model_version": OLD}, "7", NEW, "uniform", None) == {
        "sampling": "Uniform sampling",
        "model_version": NEW,
    }
