"""The page of a project: its classes, versions and verdicts, what to do next, and the pictures of its predictions."""

from __future__ import annotations

from pathlib import Path

from backend.storage.runs import RunState
from tests.backend.web.html_page import get, page
from tests.backend.web.page_states import MANY, STATES, connect, label
from tests.backend.web.serving import Site


def test_every_version_but_the_live_one_has_a_button_and_all_have_figures_in_words(site: Site, tmp_path: Path) -> None:
    STATES["refused version"](site, tmp_path)
    found = page(site, "/projects/7")
    assert "Predictions come from boxstrap-7-0002" in found.text
    assert found.text.count("Pictures classified right 83 % of 12 pictures") == 5
    assert "Overlap with people's boxes 71 %" in found.text
    bodies = [attributes.get("data-body") for tag, attributes in found.tags if tag == "button"]
    others = [f'{{"version": "boxstrap-7-000{number}"}}' for number in (5, 4, 3, 1)]
    assert [body for body in bodies if body] == others


def test_each_verdict_is_a_sentence_with_what_follows_and_a_badge(site: Site, tmp_path: Path) -> None:
    STATES["refused version"](site, tmp_path)
    text = page(site, "/projects/7").text
    for said in (
        "boxstrap-7-0001 replaced first version",
        "The first version, so there was nothing to compare it with: it went live; 0002 is live now.",
        "boxstrap-7-0002 live",
        "Not worse than 0001 on 14 corrected pictures: it went live.",
        "boxstrap-7-0003 refused",
        "Worse than 0002 on 14 corrected pictures: 0002 stays live.",
        "boxstrap-7-0004 refused unreliable",
        "It is unreliable, and 0002 is not: 0002 stays live.",
        "boxstrap-7-0005 suggested",
        ": 0002 stays live until a person activates this one.",
        "Look at version 0005, and activate it if you like it better than 0002.",
    ):
        assert said in text, said
    site.stores.models.activate("7", "boxstrap-7-0005")
    text = page(site, "/projects/7").text
    assert "suggested" not in text.replace("those that are not worse are suggested", "")
    assert "0002 stayed live, until a person activated this one." in text
    assert "Worse than 0002 on 14 corrected pictures: 0002 stayed live; 0005 is live now." in text


def test_an_unreliable_version_is_marked_with_the_reason_said_once(site: Site, tmp_path: Path) -> None:
    site.set_up()
    fault = "36 steps of stage localize are not enough for 51 images; 250 would do."
    site.publish(tmp_path, run="a", faults=[fault])
    gate = {"criterion": "faults", "against": "boxstrap-7-0001", "sentence": f"0001 stays live. {fault}"}
    site.publish(tmp_path, run="b", faults=[fault], gate=gate)
    site.publish(tmp_path, run="c")
    assert page(site, "/projects/7").text.count(fault) == 2


def test_classes_are_counted_as_people_have_labelled_them(site: Site, tmp_path: Path) -> None:
    STATES["unlabelled"](site, tmp_path)
    assert "ladybird 0 0 0" in page(site, "/projects/7").text
    label(site)
    text = page(site, "/projects/7").text
    assert "ladybird 30 7 2" in text and "fish 20 6 0" in text  # pictures, corrected, held out
    assert "70 pictures have a class, but few or none show snail with a rather long name." in text


def test_of_many_classes_a_sentence_names_three(site: Site, tmp_path: Path) -> None:
    STATES["unlabelled"](site, tmp_path)
    connect(site, classes=MANY)
    label(site)
    text = page(site, "/projects/7").text
    assert "few or none show part number 4711, part number 4712, part number 4713 and 77 more. Label" in text


def test_where_no_task_shows_anything_it_says_what_helps(site: Site, tmp_path: Path) -> None:
    STATES["nothing shown"](site, tmp_path)
    text = page(site, "/projects/7").text
    assert "Next: No task shows anything yet. Draw boxes on some pictures in Label Studio and submit them" in text
    assert "57 objects (57 of ladybird) are not shown" in text and "40 tasks show none for that reason" in text
    assert "classified right" not in text  # of one class they all are


def test_predictions_are_shown_least_certain_first_and_lead_to_their_tasks(site: Site, tmp_path: Path) -> None:
    STATES["first version"](site, tmp_path)
    found = page(site, "/projects/7")
    pictures = [str(attributes["src"]) for tag, attributes in found.tags if tag == "img"]
    assert len(pictures) == 12
    assert pictures[:2] == [f"7/pictures/boxstrap-7-0001/{task}.jpg" for task in (3, 6)]  # nothing was found in those
    assert site.client.get(f"/projects/{pictures[0]}").headers["content-type"] == "image/jpeg"
    links = [attributes.get("href") for tag, attributes in found.tags if tag == "a"]
    assert "http://localhost:8080/projects/7/data?task=3" in links


def test_pictures_that_are_not_shown_are_not_found_however_they_are_named(site: Site, tmp_path: Path) -> None:
    STATES["first version"](site, tmp_path)
    for path in ("boxstrap-7-0001/999.jpg", "boxstrap-7-0002/1.jpg", "..%2f..%2fmodels/1.jpg", "..../1.jpg"):
        assert site.client.get(f"/projects/7/pictures/{path}").status_code == 404


def test_a_training_shows_its_losses_and_pictures(site: Site, tmp_path: Path) -> None:
    STATES["training"](site, tmp_path)
    answer = get(site, "/projects/7")
    assert '<svg class="plot"' in answer.text and "classification" in answer.text
    found = page(site, "/projects/7")
    assert len([tag for tag, attributes in found.tags if tag == "img" and "7-2" in str(attributes["src"])]) == 6
    [bar] = [attributes for tag, attributes in found.tags if tag == "progress" and attributes["max"] == "1"][1:]
    assert bar["value"] == "0.43"
    assert "The training will take about 7 minutes" in found.text and "250 would do" in found.text


def test_it_says_why_no_training_starts_and_what_started_the_one_there_is(site: Site) -> None:
    site.set_up()
    assert "No training starts by itself" in page(site, "/projects/7").text
    site.stores.policies.change("7", every=20)
    assert "none has one yet" in page(site, "/projects/7").text
    run = site.stores.runs.create("7", {}, "20 new corrections")
    assert "Started by: 20 new corrections." in page(site, "/projects/7").text
    site.stores.runs.update(run.id, state=RunState.FAILED, reason="Start `boxstrap up` again.")
    assert "Start boxstrap up again." in page(site, "/projects/7").text


def test_the_report_is_a_page_with_a_way_back(site: Site, tmp_path: Path) -> None:
    STATES["refused version"](site, tmp_path)
    found = page(site, "/projects/7/report")
    assert "People have reviewed the predictions of 30 tasks" in found.text
    assert {"../../", "../7"} <= {attributes.get("href") for tag, attributes in found.tags if tag == "a"}


def test_a_project_that_nobody_knows_is_a_page_that_says_so(site: Site) -> None:
    for path in ("/projects/99", "/projects/abc", "/projects/99/report"):
        answer = get(site, path)
        assert answer.status_code in (404, 422)
        assert "This page is not here" in answer.text
