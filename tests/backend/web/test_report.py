"""GET /api/projects/{project}/report."""

from __future__ import annotations

from tests.backend.support.ledger import scored
from tests.backend.web.serving import Site, code_of


def test_the_report_of_a_project(site: Site) -> None:
    site.set_up("71")
    empty = site.client.get("/api/projects/71/report")
    assert (empty.status_code, empty.json()["total"]["tasks"]) == (200, 0)
    site.stores.feedback.put("71", scored())
    found = site.client.get("/api/projects/71.1795/report?risk=0.1").json()
    assert (found["project"], found["total"]["tasks"], found["scores"]["threshold"]["threshold"]) == ("71", 20, 0.3)


def test_what_cannot_be_reported(site: Site) -> None:
    site.set_up("71")
    unknown = site.client.get("/api/projects/72/report")
    assert (unknown.status_code, code_of(unknown)) == (404, "not_found")
    assert "it knows: 71" in unknown.json()["error"]["message"]
    for path in ("/api/projects/71/report?risk=0", "/api/projects/71/report?risk=1", "/api/projects/seven/report"):
        assert code_of(site.client.get(path)) == "bad_request"
