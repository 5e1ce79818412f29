"""Policies: what nobody chose is as the settings say, nonsense is refused, and nothing fires on being set."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.errors import DamagedFileError, NotFoundError, RequestError
from backend.settings import Settings
from backend.storage.policies import NOTHING_BY_ITSELF, Policy, PolicyStore


@pytest.fixture
def store_with(tmp_path: Path) -> Callable[..., PolicyStore]:
    """Opens the same folder with other settings."""
    return lambda **settings: PolicyStore(tmp_path / "policies", Policy.of(Settings(**settings)))


def test_what_nobody_chose_is_as_the_settings_say(store_with: Callable[..., PolicyStore]) -> None:
    assert store_with().find("7") == Policy()
    found = store_with(train_every=20, train_quiet_hours="22:00-07:00", train_min_per_class=3, gate="manual").find("7")
    assert found == Policy(every=20, quiet="22:00-07:00", min_per_class=3, gate="manual")


def test_what_was_chosen_is_kept_and_the_rest_follows_the_settings(store_with: Callable[..., PolicyStore]) -> None:
    changed = store_with().change("7", every=3, score_threshold=0.5, sampling="uncertainty")
    assert changed == Policy(every=3, score_threshold=0.5, sampling="uncertainty")
    assert store_with(train_every=20, gate="suggest").find("7") == Policy(
        every=3, gate="suggest", score_threshold=0.5, sampling="uncertainty"
    )
    assert store_with().change("7", score_threshold=None).score_threshold is None
    assert store_with().find("8") == Policy()


def test_reading_makes_no_files(store_with: Callable[..., PolicyStore], tmp_path: Path) -> None:
    store_with(train_cron="0 3 * * *").find("7")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("every", -1, "such as 20"),
        ("every", True, "such as 20"),
        ("min_per_class", 0, "1 or more"),
        ("min_per_class", 2.5, "whole number"),
        ("gate", "open", "'auto', 'suggest', 'manual'"),
        ("sampling", "random", "'uncertainty'"),
        ("score_threshold", 1.5, "such as 0.4"),
        ("score_threshold", float("nan"), "from 0 to 1"),
        ("cron", "every night", "'0 3 * * *'"),
        ("cron", "60 3 * * *", "'0 3 * * *'"),
        ("cron", "* * * * * *", "five fields"),
        ("cron", "r r * * *", "five fields"),
        ("cron", "0 0 31 2 *", "no day ever is"),
        ("quiet", "22-7", "22:00-07:00"),
        ("quiet", "24:00-07:00", "HH:MM-HH:MM"),
        ("quiet", "07:00-07:00", "22:00-07:00"),
    ],
)
def test_a_value_without_meaning_is_named_with_an_example_and_changes_nothing(
    store_with: Callable[..., PolicyStore], name: str, value: object, example: str
) -> None:
    store = store_with()
    store.change("7", every=4)
    with pytest.raises(RequestError, match=rf"^{name} is ") as caught:
        store.change("7", **{"every": 5, name: value})
    assert example in str(caught.value) and repr(value) in str(caught.value)
    assert store.find("7") == Policy(every=4)


def test_blanks_in_cron_and_quiet_hours_do_no_harm() -> None:
    policy = Policy(cron=" 0  3 * * MON-FRI ", quiet=" 22:00 - 07:00")
    assert (policy.cron, policy.quiet) == ("0 3 * * MON-FRI", "22:00-07:00")


def test_a_cron_expression_counts_from_when_it_was_chosen(store_with: Callable[..., PolicyStore]) -> None:
    before = time.time()
    chosen = store_with().change("7", cron="0 3 * * *")
    assert before <= chosen.since <= time.time()
    assert store_with().change("7", cron="0 3 * * *", every=5).since == chosen.since
    assert store_with().change("7", quiet="22:00-07:00").since == chosen.since
    assert store_with().change("7", cron="0 4 * * *").since > chosen.since


def test_the_settings_expression_counts_from_when_it_was_first_seen(store_with: Callable[..., PolicyStore]) -> None:
    store = store_with(train_cron="0 3 * * *")
    assert store.find("7").since == pytest.approx(time.time(), abs=5)  # nothing is due before it was noted
    store.note_default()
    noted = store.find("7").since
    store.note_default()
    assert store_with(train_cron="0 3 * * *").find("7").since == noted
    later = store_with(train_cron="0 4 * * *")
    later.note_default()
    assert later.find("7").since > noted


def test_a_project_that_switched_cron_off_has_none_whatever_the_settings_say(
    store_with: Callable[..., PolicyStore],
) -> None:
    store = store_with(train_cron="0 3 * * *")
    assert store.change("7", cron="").cron == ""
    assert (store.find("7").cron, store.find("8").cron) == ("", "0 3 * * *")


def test_a_file_of_a_later_release_can_be_read_and_with_nonsense_in_it_nothing_happens_by_itself(
    store_with: Callable[..., PolicyStore], tmp_path: Path
) -> None:
    store = store_with()
    store.change("7", every=4)
    path = tmp_path / "policies" / "7.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "mood": "good"}))
    assert store.find("7").every == 4
    path.write_text('{"every": "many", "gate": "auto"}')
    assert store.find("7") == NOTHING_BY_ITSELF
    with pytest.raises(DamagedFileError, match=r"7\.json .*every"):
        store.change("7", every=5)


@pytest.mark.parametrize("name", ["../7", "", ".default", "a/b"])
def test_names_that_lead_elsewhere_are_refused(store_with: Callable[..., PolicyStore], name: str) -> None:
    for call in (store_with().find, store_with().change):
        with pytest.raises(NotFoundError):
            call(name)
