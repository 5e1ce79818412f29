"""Where pictures are fetched from, and with which token; `other` is any server but Label Studio."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from backend.errors import ImageError, ImageNotNowError
from backend.images.image_store import ImageRules, ImageStore
from backend.settings import Settings
from tests.backend.images.media_servers import (
    TOKEN,
    MakeStore,
    PictureServer,
    bomb,
    data_uri,
    png,
    redirects,
    run_server,
    says,
    stores,
)

label_studio = pytest.fixture(run_server)
other = pytest.fixture(run_server)
make_store = pytest.fixture(stores)


@pytest.mark.parametrize("path", ["/data/upload/7/0a1b2c3d-cat.png", "/data/local-files/?d=imgs/sub/a%20b.png"])
def test_a_path_of_label_studio_is_fetched_with_the_token(
    path: str, label_studio: PictureServer, make_store: MakeStore
) -> None:
    label_studio.answer(path, says(png()))
    assert make_store().fetch(path, "7", 1).read_bytes() == png()
    assert label_studio.requests == [(path, TOKEN)]


def test_a_whole_url_of_label_studio_gets_the_token_below_its_picture_paths_only(
    label_studio: PictureServer, make_store: MakeStore
) -> None:
    for path in ("/data/upload/7/a.png", "/static/a.png"):
        label_studio.answer(path, says(png()))
        make_store().fetch(label_studio.url + path, "7", 1)
    assert label_studio.requests == [("/data/upload/7/a.png", TOKEN), ("/static/a.png", None)]


@pytest.mark.parametrize("reference", ["/data/upload/7/a.png", "/tools/ls/data/upload/7/a.png"])
def test_the_path_of_the_base_url_is_kept_and_not_doubled(
    reference: str, label_studio: PictureServer, make_store: MakeStore
) -> None:
    label_studio.answer("/tools/ls/data/upload/7/a.png", says(png()))
    make_store(prefix="/tools/ls").fetch(reference, "7", 1)
    assert label_studio.requests == [("/tools/ls/data/upload/7/a.png", TOKEN)]


@pytest.mark.parametrize(
    "reference",
    [
        "/data/../api/projects",
        "/data/%2e%2e/api/projects",
        "/data/%252e%252e/api/projects",
        "/data/..%2fapi/projects",
        "/data/..\\api/projects",
        "/data/..;/api/projects",
        "/api/projects",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "javascript:alert(1)",
        "imgs/a.png",
        "http:///data/a.png",
        "http://example.com:99999/a.png",
        "s3:bucket",
        "/data/\ud800/../../x",
        "",
    ],
)
def test_other_paths_and_schemes_are_refused_without_a_request(
    reference: str, label_studio: PictureServer, make_store: MakeStore
) -> None:
    with pytest.raises(ImageError, match="correct") as caught:
        make_store().fetch(reference, "7", 1)
    assert not isinstance(caught.value, ImageNotNowError)
    assert label_studio.requests == []


def test_encoded_dots_in_a_whole_url_get_no_token(label_studio: PictureServer, make_store: MakeStore) -> None:
    label_studio.answer("/data/%2e%2e/api/projects", says(png()))
    make_store().fetch(label_studio.url + "/data/%2e%2e/api/projects", "7", 1)
    assert label_studio.tokens == [None]


def test_another_host_is_fetched_without_the_token(other: PictureServer, make_store: MakeStore) -> None:
    other.answer("/data/upload/7/a.png", says(png()))
    make_store(private_hosts=("127.0.0.0/8",)).fetch(f"{other.url}/data/upload/7/a.png", "7", 1)
    assert other.tokens == [None]


def test_an_address_without_a_scheme_has_that_of_label_studio(
    label_studio: PictureServer, other: PictureServer, make_store: MakeStore
) -> None:
    for server in (label_studio, other):
        server.answer("/data/upload/7/a.png", says(png()))
    store = make_store(private_hosts=("127.0.0.1",))
    for server in (label_studio, other):
        store.fetch(f"{server.url.removeprefix('http:')}/data/upload/7/a.png", "7", 1)
    assert (label_studio.tokens, other.tokens) == ([TOKEN], [None])


@pytest.mark.parametrize("scheme", ["http:", ""])
def test_a_private_address_is_refused(scheme: str, other: PictureServer, make_store: MakeStore) -> None:
    with pytest.raises(ImageError, match=r"no public address.*IMAGE_HOSTS"):
        make_store().fetch(f"{scheme}{other.url.removeprefix('http:')}/a.png", "7", 1)
    assert other.requests == []


def test_a_redirect_to_a_private_address_is_refused(
    label_studio: PictureServer, other: PictureServer, make_store: MakeStore
) -> None:
    label_studio.answer("/data/upload/7/a.png", redirects(f"{other.url}/a.png"))
    with pytest.raises(ImageError, match="no public address"):
        make_store().fetch("/data/upload/7/a.png", "7", 1)
    assert other.requests == []


def test_a_redirect_to_another_path_or_host_loses_the_token(
    label_studio: PictureServer, other: PictureServer, make_store: MakeStore
) -> None:
    label_studio.answer("/data/upload/7/a.png", redirects("/api/projects"))
    label_studio.answer("/api/projects", redirects(f"{other.url}/data/upload/7/a.png"))
    other.answer("/data/upload/7/a.png", says(png()))
    make_store(private_hosts=("127.0.0.1",)).fetch("/data/upload/7/a.png", "7", 1)
    assert label_studio.tokens == [TOKEN, None] and other.tokens == [None]


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://u:secret@127.0.0.1/", "//"])
def test_a_redirect_to_what_is_no_plain_http_url_is_refused(
    location: str, label_studio: PictureServer, make_store: MakeStore
) -> None:
    label_studio.answer("/data/upload/7/a.png", redirects(location))
    with pytest.raises(ImageError, match="address") as caught:
        make_store().fetch("/data/upload/7/a.png", "7", 1)
    assert "secret" not in str(caught.value)


def test_a_circle_of_redirects_ends(label_studio: PictureServer, make_store: MakeStore) -> None:
    label_studio.answer("/data/upload/7/a.png", redirects("/data/upload/7/a.png"))
    with pytest.raises(ImageError, match="more than 5 times"):
        make_store().fetch("/data/upload/7/a.png", "7", 1)
    assert len(label_studio.requests) == 6


@pytest.mark.parametrize("uri", ["s3://bucket/ä b.png", "gs://bucket/b.png", "azure-blob://box/b.png"])
def test_cloud_storage_is_read_where_label_studio_redirects_to(
    uri: str, label_studio: PictureServer, other: PictureServer, make_store: MakeStore
) -> None:
    code = base64.urlsafe_b64encode(uri.encode()).decode()
    label_studio.answer(f"/tasks/12/presign/?fileuri={code}", redirects(f"{other.url}/b.png?X-Signature=a%2Fb%3D"))
    other.answer("/b.png?X-Signature=a%2Fb%3D", says(png()))
    store = make_store(private_hosts=("127.0.0.1",))
    assert store.fetch(uri, "7", 12).read_bytes() == png()
    assert label_studio.tokens == [TOKEN] and other.tokens == [None]


@pytest.mark.parametrize("front", ["", "https://labels.example", "https://labels.example/ls"])
def test_an_address_that_label_studio_has_resolved_is_asked_for_where_this_machine_reaches_it(
    front: str, label_studio: PictureServer, make_store: MakeStore
) -> None:
    code = base64.urlsafe_b64encode(b"s3://bucket/b.png").decode()
    label_studio.answer(f"/tasks/12/presign/?fileuri={code}", says(png()))
    assert make_store().fetch(f"{front}/tasks/12/resolve/?fileuri={code}", "7", 12).read_bytes() == png()
    assert label_studio.tokens == [TOKEN]


def test_all_forms_of_one_picture_are_fetched_once(label_studio: PictureServer, make_store: MakeStore) -> None:
    code = base64.urlsafe_b64encode(b"s3://bucket/b.png").decode()
    label_studio.answer(f"/tasks/12/presign/?fileuri={code}", says(png()))
    store = make_store()
    assert store.fetch("s3://bucket/b.png", "7", 12) == store.fetch(f"/tasks/12/resolve/?fileuri={code}", "7", 12)
    assert len(label_studio.requests) == 1


def test_a_picture_below_the_projects_hostname_comes_from_label_studio(
    label_studio: PictureServer, make_store: MakeStore
) -> None:
    path = "/data/local-files/?d=imgs/a.png"
    label_studio.answer(path, says(png()))
    store = make_store(hostname_of=lambda project: "https://labels.example" if project == "7" else "")
    assert store.fetch(f"https://labels.example{path}", "7", 12).read_bytes() == png()
    assert label_studio.requests == [(path, TOKEN)]


@pytest.mark.parametrize("status", [404, 424])
def test_without_a_storage_for_a_uri_the_error_says_to_add_one(
    status: int, label_studio: PictureServer, make_store: MakeStore
) -> None:
    label_studio.answer("/tasks/12/presign/", says(status=status))
    with pytest.raises(ImageError, match=rf"redis://a: Label Studio answered {status}: no source storage.*add"):
        make_store().fetch("redis://a", "7", 12)


def test_cloud_storage_needs_the_id_of_a_task(make_store: MakeStore) -> None:
    with pytest.raises(ImageError, match=r"s3://bucket/a.png: .* no id"):
        make_store().fetch("s3://bucket/a.png", "7", None)


def test_a_signature_is_in_no_message(label_studio: PictureServer, other: PictureServer, make_store: MakeStore) -> None:
    label_studio.answer("/tasks/12/presign/", redirects(f"{other.url}/b.png?X-Signature=secret"))
    store = make_store(private_hosts=("127.0.0.1",))
    for reference in ("s3://bucket/b.png", f"{other.url}/b.png?X-Signature=secret"):
        with pytest.raises(ImageError, match="404") as caught:
            store.fetch(reference, "7", 12)
        assert "secret" not in str(caught.value) and TOKEN not in str(caught.value)


def test_a_user_or_password_in_the_address_is_refused_and_not_shown(make_store: MakeStore) -> None:
    with pytest.raises(ImageError, match=r"Picture http://example\.com/a\.png: .*user or password") as caught:
        make_store().fetch("http://someone:secret@example.com/a.png", "7", 1)
    assert "secret" not in str(caught.value)


def test_without_label_studio_its_paths_say_what_to_set(tmp_path: Path) -> None:
    store = ImageStore(tmp_path, ImageRules(1000, 1000, 1.0), 1000, None)
    with pytest.raises(ImageError, match="LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY"):
        store.fetch("/data/upload/7/a.png", "7", 1)


@pytest.mark.parametrize(("megapixels", "limit"), [(1, "1,000,000"), (1000, "178,956,970")])
def test_a_setting_lowers_the_limit_of_pixels_and_never_raises_it(tmp_path: Path, megapixels: int, limit: str) -> None:
    store = ImageStore.from_settings(Settings(home=tmp_path, image_max_megapixels=megapixels), None)
    with pytest.raises(ImageError, match=rf"more than {limit} pixels \(IMAGE_MAX_MEGAPIXELS\)"):
        store.fetch(data_uri(bomb(18_000, 10_000)), "7", 1)


def test_environment_proxies_are_not_used(
    label_studio: PictureServer, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    label_studio.answer("/data/upload/7/a.png", says(png()))
    assert make_store().fetch("/data/upload/7/a.png", "7", 1).is_file()
