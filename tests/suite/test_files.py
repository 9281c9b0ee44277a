"""Files of test cases: told by their content, bounded, and handed out so that no browser runs them."""

import hashlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.suite.builders import FILES, Builders, Json, made
from tests.suite.client import Answer, Client, File, multipart
from tests.suite.contract import STORED_FILE, conform, refused
from tests.suite.samples import ALIASES, ALLOWED, PNG, REFUSED

MEGABYTE = 1 << 20


def fetched(client: Client, stored: Json) -> Answer:
    return client.get(urlsplit(stored["file_url"]).path)


@pytest.mark.parametrize("mime_type", ALLOWED)
def test_a_file_of_an_allowed_type_comes_back_byte_for_byte_as_an_attachment(client: Client, mime_type: str) -> None:
    file = ALLOWED[mime_type]
    stored = conform(made(client.upload(FILES, file), 200), STORED_FILE)
    assert stored["file_mime_type"] in ALIASES.get(mime_type, {mime_type})
    assert (stored["size_bytes"], stored["sha256"]) == (len(file.content), hashlib.sha256(file.content).hexdigest())
    answer = fetched(client, stored)
    assert (answer.status, answer.body) == (200, file.content)
    assert answer.headers["content-type"].partition(";")[0] == stored["file_mime_type"]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("what", REFUSED)
def test_any_other_file_is_refused(client: Client, what: str) -> None:
    refused(client.upload(FILES, REFUSED[what]), 400, "file", reason="INVALID_FIELD")


def test_the_content_decides_about_the_type(client: Client) -> None:
    assert made(client.upload(FILES, File(PNG, "letter.txt", "text/plain")), 200)["file_mime_type"] == "image/png"


@pytest.mark.parametrize(
    "content", [b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", b"<!DOCTYPE html><script>1</script>"]
)
def test_what_a_browser_would_run_is_never_served_as_such(client: Client, content: bytes) -> None:
    answer = client.upload(FILES, File(content, "a.svg", "image/svg+xml"))
    if answer.status == 200:
        assert answer.json["file_mime_type"] == "text/plain"
        assert fetched(client, answer.json).headers["content-type"].startswith("text/plain")
    else:
        refused(answer, 400, "file")


def test_a_file_of_ten_megabytes_is_stored(client: Client) -> None:
    stored = made(client.upload(FILES, File(PNG + bytes(10 * MEGABYTE - len(PNG)), "big.png", "image/png")), 200)
    assert stored["size_bytes"] == 10 * MEGABYTE
    assert len(fetched(client, stored).body) == 10 * MEGABYTE


@pytest.mark.parametrize("size", [10 * MEGABYTE + 1, 12 * MEGABYTE, 20 * MEGABYTE])
def test_a_larger_file_is_refused(client: Client, size: int) -> None:
    refused(client.upload(FILES, File(PNG + bytes(size - len(PNG)), "big.png", "image/png")), 413)


def test_a_larger_file_is_refused_when_it_comes_in_chunks_too(client: Client) -> None:
    body, content_type = multipart([File(PNG + bytes(11 * MEGABYTE), "big.png", "image/png")])

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), MEGABYTE):
            yield body[start : start + MEGABYTE]

    with client.connected() as connection:
        connection.request("POST", FILES, chunks(), {**client.headers, "content-type": content_type}, encode_chunked=True)
        response = connection.getresponse()
        refused(Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()), 413)


def test_a_body_without_a_file_is_refused(client: Client) -> None:
    refused(client.upload(FILES, File(PNG, field="picture")), 400, "file")
    refused(client.upload(FILES), 400)
    refused(client.post(FILES, {"file": "a"}), 400)
    refused(client.send("POST", FILES, b"no multipart at all", {"content-type": "multipart/form-data; boundary=x"}), 400)
    refused(client.send("POST", FILES, b"--x\r\n", {"content-type": "multipart/form-data"}), 400)
    refused(client.send("POST", FILES, b"", {"content-type": "multipart/form-data; boundary=x"}), 400)
    body, content_type = multipart([File(PNG)])
    refused(client.send("POST", FILES, body[:-20], {"content-type": content_type}), 400)


def test_a_file_is_given_out_to_its_own_workspace_alone(client: Client, other: Client, anonymous: Client) -> None:
    stored = made(client.upload(FILES, ALLOWED["text/plain"]), 200)
    refused(fetched(other, stored), 404)
    refused(fetched(anonymous, stored), 401)
    same = made(other.upload(FILES, ALLOWED["text/plain"]), 200)
    assert same["sha256"] == stored["sha256"]
    assert fetched(other, same).status == 200
    refused(fetched(other, stored), 404)


def test_a_case_names_an_uploaded_file(client: Client, build: Builders) -> None:
    stored = made(client.upload(FILES, ALLOWED["image/png"]), 200)
    case = build.case(build.test_set(), file_url=stored["file_url"], file_mime_type=stored["file_mime_type"])
    assert (case["file_url"], case["file_mime_type"]) == (stored["file_url"], "image/png")
