"""What Prometheus gets."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.backend.support.ledger import FIRST, an_object, row
from tests.backend.web.serving import Site


def samples(site: Site) -> dict[str, float]:
    """Each sample by its name and the values of its labels, which are sorted by name: "boxstrap_tasks open 7"."""
    text = site.client.get("/metrics").text
    found = [each for family in text_string_to_metric_families(text) for each in family.samples]
    return {" ".join([each.name, *(value for _, value in sorted(each.labels.items()))]): each.value for each in found}


def test_jobs_and_workers_are_counted(site: Site) -> None:
    site.post("/webhook", {"action": "START_TRAINING", "project": {"id": 7}})
    found = samples(site)
    assert found["boxstrap_redis_up"] == 1
    assert (found["boxstrap_jobs boxstrap-train queued"], found["boxstrap_workers boxstrap-predict"]) == (1, 0)


def test_a_training_says_how_far_it_is(site: Site) -> None:
    site.set_up()
    ended, running = (site.stores.runs.create("7", {}) for _ in range(2))
    site.stores.runs.update(ended.id, state="succeeded", version=FIRST, started=1000.0, ended=1060.0)
    site.stores.runs.update(running.id, state="running")
    site.queue.progress.report_run(running.id, {"stage": "classify", "share": 0.25, "seconds_left": 90.0, "loss": 0.5})
    found = samples(site)
    assert (found["boxstrap_trainings 7 succeeded"], found["boxstrap_trainings 7 running"]) == (1, 1)
    assert found["boxstrap_last_training_seconds 7"] == 60
    assert (found["boxstrap_training_share 7"], found["boxstrap_training_seconds_left 7"]) == (0.25, 90)
    assert found["boxstrap_training_loss 7"] == 0.5 and "boxstrap_training_images_per_second 7" not in found


def test_versions_and_what_people_made_of_them_are_counted(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path, metrics={"holdout_top1_accuracy": 0.75})
    objects = (an_object("edited", 0.6), an_object("accepted"))
    site.stores.feedback.put("7", [row(1, *objects), row(2, an_object("accepted")), row(3, outcome="open")])
    found = samples(site)
    assert (found["boxstrap_versions 7"], found["boxstrap_live_version 7"]) == (1, 1)
    assert found["boxstrap_live_version_metric holdout_top1_accuracy 7"] == 0.75
    assert [found[f"boxstrap_tasks {outcome} 7"] for outcome in ("open", "accepted", "corrected")] == [1, 1, 1]
    assert found["boxstrap_new_corrections 7"] == 1
    assert (found[f"boxstrap_objects accepted 7 {FIRST}"], found[f"boxstrap_objects edited 7 {FIRST}"]) == (2, 1)


def test_a_broken_ledger_hides_its_own_figures_alone(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    site.stores.feedback.path.write_text("no database")
    found = samples(site)
    assert found["boxstrap_versions 7"] == 1 and "boxstrap_new_corrections 7" not in found
