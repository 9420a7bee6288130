"""The pages of the log and of the papers."""

import csv
import hashlib
import json
import os
import re

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client, TestCase

from harbour.models import Entry, Paper

LINE = {"kind": "arrival", "vessel": "Jolle", "text": "Leaks.", "signed": "Ek"}


def body(response):
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.fixture
def paper(client, sailor):
    content = bytes(range(256)) * 300
    client.post("/papers", {"title": "Chart", "file": SimpleUploadedFile("chärt.pdf", content)})
    found = Paper.objects.get()
    found.content = content
    yield found
    found.file.close()
    found.file.storage.delete(found.file.name)


def test_the_log_shows_what_the_first_migration_wrote(client):
    response = client.get("/")
    assert response.status_code == 200
    assert "Barque Hildegard" in response.text


def test_static_files_have_hashed_names(client):
    assert re.search(r"/static/harbour/site\.[0-9a-f]{12}\.css", client.get("/").text)


def test_every_page_carries_the_security_fields(client):
    response = client.get("/")
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"


def test_an_entry_is_written_and_the_session_remembers_who_signed(client):
    response = client.post("/", LINE, follow=True)
    assert response.redirect_chain == [("/", 302)]
    assert "“Jolle” has been added." in response.text
    assert 'value="Ek"' in response.text
    assert Entry.objects.get(vessel="Jolle").author is None


def test_a_wrong_entry_is_shown_again_with_what_is_wrong(client):
    response = client.post("/", LINE | {"vessel": "123", "text": ""})
    assert response.status_code == 422
    assert "at least one letter" in response.text
    assert "This field is required." in response.text
    assert 'value="123"' in response.text


def test_what_a_visitor_writes_is_escaped(client):
    client.post("/", LINE | {"text": "<script>alert(1)</script>"})
    page = client.get("/").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_form_without_its_token_is_refused():
    response = Client(enforce_csrf_checks=True).post("/", LINE)
    assert response.status_code == 403
    assert "Form not accepted" in response.text


def test_older_entries_are_on_the_next_page(client):
    Entry.objects.bulk_create(Entry(vessel=f"Boat {n}", text="Passing.", signed="Ek") for n in range(9))
    assert 'rel="next"' in client.get("/").text
    assert "Barque Hildegard" in client.get("/?page=2").text
    assert client.get("/?page=nonsense").status_code == 200


def test_only_its_author_deletes_an_entry(client, sailor):
    client.post("/", LINE)
    own, other = Entry.objects.get(author=sailor), Entry.objects.filter(author=None).first()
    assert client.post(f"/entries/{own.pk}/delete").status_code == 302
    assert client.post(f"/entries/{other.pk}/delete").status_code == 404
    assert not Entry.objects.filter(pk=own.pk).exists()
    assert client.get(f"/entries/{other.pk}/delete").status_code == 405


def test_the_log_as_csv_is_streamed_and_starts_no_formula(client):
    client.post("/", LINE | {"text": "=1+1", "vessel": "Å"})
    response = client.get("/log.csv")
    assert response.streaming
    rows = list(csv.reader(body(response).decode().splitlines()))
    assert rows[0][2] == "vessel"
    assert len(rows) == 6
    assert rows[-1][1:] == ["arrival", "Å", "'=1+1", "Ek"]


@pytest.mark.parametrize("delay", ["-1", "2.1", "nan", "inf", "slow"])
def test_a_delay_out_of_bounds_is_refused(client, delay):
    response = client.get("/log.csv", {"delay": delay})
    assert response.status_code == 400
    assert response.json() == {"error": "delay must be from 0 to 2 seconds"}


def test_login_and_logout(client):
    User.objects.create_user("ek", password="hemp-and-tar-9")
    wrong = client.post("/login", {"username": "ek", "password": "guess"})
    assert "Please enter a correct username" in wrong.text
    response = client.post("/login?next=/papers", {"username": "ek", "password": "hemp-and-tar-9", "next": "/papers"})
    assert response["Location"] == "/papers"
    assert "Log out" in client.get("/").text
    assert client.post("/logout")["Location"] == "/"
    assert "Log in" in client.get("/").text


def test_sign_up_makes_a_user_and_logs_in(client):
    password = {"password1": "hemp-and-tar-9", "password2": "hemp-and-tar-9"}
    assert client.post("/sign-up", {"username": "new", **password}, follow=True).status_code == 200
    assert "Log out" in client.get("/").text
    assert client.post("/sign-up", {"username": "new", **password}).status_code == 422


def test_papers_are_for_members(client):
    assert client.get("/papers")["Location"] == "/login?next=/papers"


def test_an_upload_is_kept_with_its_hash(client, paper):
    assert paper.size == len(paper.content)
    assert paper.sha256 == hashlib.sha256(paper.content).hexdigest()
    assert paper.name == "chärt.pdf"
    assert paper.file.name == f"papers/{paper.pk}.pdf"
    assert "“Chart” has been uploaded." in client.get("/papers").text
    assert os.listdir(settings.FILE_UPLOAD_TEMP_DIR) == []


def test_upload_that_is_too_large_is_explained_and_leaves_no_file(client, sailor):
    file = SimpleUploadedFile("large.bin", b"x" * (settings.MAX_UPLOAD_SIZE + 1))
    response = client.post("/papers", {"title": "Large", "file": file})
    assert response.status_code == 422
    assert "“large.bin” is larger than 200.0\xa0KB" in response.text
    assert 'value="Large"' in response.text  # the rest of the form is kept
    assert os.listdir(settings.FILE_UPLOAD_TEMP_DIR) == []


def test_an_upload_of_the_largest_size_is_kept(client, sailor):
    file = SimpleUploadedFile("full.bin", b"x" * settings.MAX_UPLOAD_SIZE)
    assert client.post("/papers", {"title": "Full", "file": file}).status_code == 302
    Paper.objects.get().file.delete(save=False)


def test_a_download_is_the_whole_file(client, paper):
    response = client.get(paper.get_absolute_url())
    assert response.status_code == 200
    assert body(response) == paper.content
    assert response["Content-Length"] == str(paper.size)
    assert response["ETag"] == paper.etag
    assert response["Accept-Ranges"] == "bytes"
    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"] == "attachment; filename*=utf-8''ch%C3%A4rt.pdf"
    assert "sandbox" in response["Content-Security-Policy"]


def test_a_download_of_a_range(client, paper):
    response = client.get(paper.get_absolute_url(), headers={"Range": "bytes=1000-1999"})
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes 1000-1999/{paper.size}"
    assert response["Content-Length"] == "1000"
    assert body(response) == paper.content[1000:2000]


def test_a_range_past_the_end(client, paper):
    response = client.get(paper.get_absolute_url(), headers={"Range": f"bytes={paper.size}-"})
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{paper.size}"


def test_a_download_that_the_client_has_is_not_sent_again(client, paper):
    first = client.get(paper.get_absolute_url())
    body(first)
    for condition in ({"If-None-Match": first["ETag"]}, {"If-Modified-Since": first["Last-Modified"]}):
        response = client.get(paper.get_absolute_url(), headers=condition)
        assert response.status_code == 304
        assert response["ETag"] == first["ETag"]
        assert response.content == b""
    assert client.get(paper.get_absolute_url(), headers={"If-Match": '"other"'}).status_code == 412


def test_a_paper_whose_file_is_gone_is_not_found(client, paper):
    paper.file.storage.delete(paper.file.name)
    assert client.get(paper.get_absolute_url()).status_code == 404


def test_deleting_a_paper_deletes_the_file_too(client, paper):
    path = paper.file.path
    assert os.path.exists(path)
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert client.post(f"{paper.get_absolute_url()}/delete").status_code == 302
    assert not os.path.exists(path)
    assert client.get(paper.get_absolute_url()).status_code == 404


def test_only_its_keeper_deletes_a_paper(client, paper):
    client.force_login(User.objects.create_user("other"))
    assert client.post(f"{paper.get_absolute_url()}/delete").status_code == 404
    assert Paper.objects.count() == 1


def test_the_api_lists_and_adds_entries(client):
    assert len(client.get("/api/entries").json()["entries"]) == 4
    response = client.post("/api/entries", json.dumps(LINE), content_type="application/json")
    assert response.status_code == 201
    assert client.get(response["Location"]).json() == response.json()
    assert response.json()["vessel"] == "Jolle"


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        ("{", "application/json", 400),
        (b"\xff", "application/json", 400),
        ("[]", "application/json", 422),
        ("{}", "application/json", 422),
        ("a=b", "application/x-www-form-urlencoded", 415),
    ],
)
def test_the_api_refuses_what_is_no_entry(client, content, content_type, status):
    assert client.post("/api/entries", content, content_type=content_type).status_code == status


def test_a_page_that_has_not_changed_is_not_sent_again(client):
    etag = client.get("/api/entries")["ETag"]
    assert client.get("/api/entries", headers={"If-None-Match": etag}).status_code == 304


def test_the_admin_lists_both_models(client):
    client.force_login(User.objects.create_superuser("master"))
    assert "Barque Hildegard" in client.get("/admin/harbour/entry/").text
    assert client.get("/admin/harbour/paper/").status_code == 200
    assert client.get("/admin/harbour/paper/add/").status_code == 403


def test_the_database_waits_for_a_writer_and_keeps_a_write_ahead_log():
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert cursor.execute("PRAGMA busy_timeout").fetchone() == (15_000,)
        assert cursor.execute("PRAGMA foreign_keys").fetchone() == (1,)
