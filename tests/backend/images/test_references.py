"""The forms in which Label Studio and people write where a picture is, and the one that they all mean."""

from __future__ import annotations

import base64

import pytest

from backend.images.references import is_in_storage, plain_reference

URI = "s3://bucket/folder/ä b.png"
CODE = base64.urlsafe_b64encode(URI.encode()).decode()
LOCAL = "/data/local-files/?d=pictures/a%20b.png"


@pytest.mark.parametrize("place", ["/tasks/7", "/projects/3"])
@pytest.mark.parametrize("verb", ["resolve", "presign"])
@pytest.mark.parametrize("front", ["", "/label-studio", "https://labels.example", "http://10.0.0.9:8080/label-studio"])
def test_an_address_that_asks_label_studio_to_resolve_is_the_uri_inside(front: str, place: str, verb: str) -> None:
    assert plain_reference(f"{front}{place}/{verb}/?fileuri={CODE}") == URI


@pytest.mark.parametrize("code", [CODE.rstrip("="), "s3%3A%2F%2Fbucket%2Ffolder%2F%C3%A4%20b.png"])
def test_a_uri_is_read_without_padding_and_as_older_versions_quoted_it(code: str) -> None:
    assert plain_reference(f"/tasks/7/presign/?fileuri={code}") == URI


@pytest.mark.parametrize("uri", ["gs://b/a.png", "azure-blob://box/a.png", "redis://a", "s3s://b/a.png", "GS://b/a"])
def test_uris_of_all_storages_stay_as_they_are(uri: str) -> None:
    assert plain_reference(f" {uri} ") == uri and is_in_storage(uri)


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "http://10.0.0.1/a.png", "ftp://host/a.png", "javascript:1"])
def test_what_is_no_uri_of_a_storage_is_not_taken_out_of_an_address(uri: str) -> None:
    code = base64.urlsafe_b64encode(uri.encode()).decode()
    address = f"/tasks/7/resolve/?fileuri={code}"
    assert plain_reference(address) == address and not is_in_storage(uri)


@pytest.mark.parametrize("hostname", ["https://labels.example", "https://labels.example/", "https://labels.example/ls"])
@pytest.mark.parametrize("path", [LOCAL, "/data/upload/7/0a1b2c3d-a.png", "/storage-data/uploaded/?filepath=upload/a"])
def test_what_lies_below_the_hostname_of_label_studio_is_its_path(hostname: str, path: str) -> None:
    assert plain_reference(f"{hostname.rstrip('/')}{path}", hostname) == path


def test_http_and_https_are_one_hostname() -> None:
    assert (
        plain_reference("http://labels.example/data/upload/7/a.png", "https://labels.example") == "/data/upload/7/a.png"
    )


def test_an_address_that_was_made_on_windows_is_read_as_browsers_read_it() -> None:
    assert plain_reference("https://host/a\\b.png?c\\d") == "https://host/a/b.png?c\\d"
    assert plain_reference("/data/upload\\7\\a.png") == "/data/upload/7/a.png"
    assert plain_reference("s3://bucket/a\\b.png") == "s3://bucket/a\\b.png"


@pytest.mark.parametrize(
    "reference",
    [f"https://other.example{LOCAL}", "https://labels.example/static/a.png", f"https://labels.example.org{LOCAL}"],
)
def test_what_is_not_label_studios_own_stays_as_it_is(reference: str) -> None:
    assert plain_reference(reference, "https://labels.example") == reference


@pytest.mark.parametrize("reference", ["data:image/png;base64,AAAA", "http://[half/tasks/7/resolve/?fileuri=YQ==", ""])
def test_everything_else_stays_as_it_is(reference: str) -> None:
    assert plain_reference(reference, "") == reference
