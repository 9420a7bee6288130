"""The pages of the log and of the papers, and the log as CSV and JSON."""

import csv
import json
import math
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db import transaction
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import condition, require_http_methods, require_POST, require_safe

from .downloads import stored_file_response
from .forms import EntryForm, PaperForm
from .models import Entry, Paper

ENTRIES_PER_PAGE = 8
MAX_ROW_DELAY = 2.0  # seconds: enough to show streaming


@require_http_methods(["GET", "HEAD", "POST"])
def log(request: HttpRequest) -> HttpResponse:
    """The log, and the form that adds an entry. The session remembers the visitor's signature."""
    if request.method == "POST":
        form = EntryForm(request.POST)
        if form.is_valid():
            form.instance.author = request.user if request.user.is_authenticated else None
            entry = form.save()
            request.session["signed"] = entry.signed
            messages.success(request, f"The entry “{entry.vessel}” has been added.")
            return redirect("log")
    else:
        form = EntryForm(initial={"signed": request.session.get("signed") or request.user.get_username()})
    page = Paginator(Entry.objects.all(), ENTRIES_PER_PAGE).get_page(request.GET.get("page"))
    status = 422 if form.is_bound else 200
    return render(request, "harbour/log.html", {"page": page, "form": form}, status=status)


@require_POST
@login_required
def delete_entry(request: HttpRequest, pk: int) -> HttpResponse:
    entry = get_object_or_404(Entry, pk=pk, author=request.user)
    entry.delete()
    messages.success(request, f"The entry “{entry.vessel}” has been deleted.")
    return redirect("log")


class _Echo:
    """A file whose `write` returns the line, so that csv.writer produces one line at a time."""

    def write(self, line: str) -> str:
        return line


def _plain(value: str) -> str:
    """Text for a cell: a leading apostrophe stops spreadsheets from running it as a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _csv_lines(delay: float) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(["written at", "kind", "vessel", "what happened", "signed by"])
    for entry in Entry.objects.order_by("written_at", "pk").iterator(chunk_size=200):
        if delay:
            time.sleep(delay)
        cells = [entry.kind, _plain(entry.vessel), _plain(entry.text), _plain(entry.signed)]
        yield writer.writerow([entry.written_at.isoformat(timespec="seconds"), *cells])


@require_safe
def log_csv(request: HttpRequest) -> HttpResponseBase:
    """The whole log, streamed line by line; with DIAGNOSTICS=1, `?delay=` is the pause before each line, in seconds."""
    try:
        delay = float(request.GET.get("delay") or 0)
    except ValueError:
        delay = math.nan
    if delay and not settings.DIAGNOSTICS:
        return JsonResponse({"error": "delay needs DIAGNOSTICS=1"}, status=400)
    if not 0 <= delay <= MAX_ROW_DELAY:
        return JsonResponse({"error": f"delay must be from 0 to {MAX_ROW_DELAY:g} seconds"}, status=400)
    headers = {"Content-Disposition": 'attachment; filename="harbour-log.csv"'}
    if delay:
        headers["X-Accel-Buffering"] = "no"  # or nginx collects the lines
    return StreamingHttpResponse(_csv_lines(delay), content_type="text/csv; charset=utf-8", headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def papers(request: HttpRequest) -> HttpResponse:
    """The uploaded papers, and the form that uploads one."""
    if request.method == "POST":
        form = PaperForm(request.POST, request.FILES, too_large=getattr(request, "too_large", None))
        if form.is_valid():
            form.instance.keeper = request.user
            paper = form.save()
            messages.success(request, f"“{paper.title}” has been uploaded.")
            return redirect("papers")
    else:
        form = PaperForm()
    status = 422 if form.is_bound else 200
    return render(request, "harbour/papers.html", {"papers": Paper.objects.all()[:100], "form": form}, status=status)


class PaperRequest(HttpRequest):
    paper: Paper


def _paper(request: PaperRequest, pk: UUID) -> Paper:
    """The paper, queried once per request: ETag, date and content are needed separately."""
    if not hasattr(request, "paper"):
        request.paper = get_object_or_404(Paper, pk=pk)
    return request.paper


def _paper_etag(request: PaperRequest, pk: UUID) -> str:
    return _paper(request, pk).etag


def _paper_last_modified(request: PaperRequest, pk: UUID) -> datetime:
    return _paper(request, pk).kept_at


@require_safe
@condition(etag_func=_paper_etag, last_modified_func=_paper_last_modified)
def paper(request: PaperRequest, pk: UUID) -> HttpResponseBase:
    """The file itself, for anyone who has its address, which cannot be guessed."""
    found = _paper(request, pk)
    if found.file.name is None:
        raise Http404("this paper has no file")
    try:
        return stored_file_response(
            request,
            found.file.storage,
            found.file.name,
            filename=found.name,
            size=found.size,
            etag=found.etag,
            last_modified=int(found.kept_at.timestamp()),
        )
    except FileNotFoundError:
        raise Http404("the file of this paper is missing") from None


@require_POST
@login_required
def delete_paper(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Deletes the row first: a leftover file does no harm, a row without its file is a broken link."""
    with transaction.atomic():
        found = get_object_or_404(Paper, pk=pk, keeper=request.user)
        storage, name = found.file.storage, found.file.name
        found.delete()
        if name is not None:
            transaction.on_commit(partial(storage.delete, name))
    messages.success(request, f"“{found.title}” has been deleted.")
    return redirect("papers")


@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    form: UserCreationForm[User] = UserCreationForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        login(request, form.save())
        messages.success(request, f"Welcome, {request.user.get_username()}.")
        return redirect("log")
    status = 422 if form.is_bound else 200
    return render(request, "registration/sign_up.html", {"form": form}, status=status)


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.pk,
        "kind": entry.kind,
        "vessel": entry.vessel,
        "text": entry.text,
        "signed": entry.signed,
        "written_at": entry.written_at.isoformat(timespec="seconds"),
    }


@require_http_methods(["GET", "HEAD", "POST"])
def api_entries(request: HttpRequest) -> JsonResponse:
    """GET: the newest fifty entries. POST: adds the entry in the JSON body (the CSRF token is in X-CSRFToken)."""
    if request.method != "POST":
        return JsonResponse({"entries": [_as_json(entry) for entry in Entry.objects.all()[:50]]})
    if request.content_type != "application/json":
        return JsonResponse({"error": "the body must be application/json"}, status=415)
    try:
        data = json.loads(request.body)
    except ValueError:
        return JsonResponse({"error": "the body is not JSON"}, status=400)
    form = EntryForm(data if isinstance(data, dict) else {})
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=422)
    form.instance.author = request.user if request.user.is_authenticated else None
    entry = form.save()
    return JsonResponse(_as_json(entry), status=201, headers={"Location": f"/api/entries/{entry.pk}"})


@require_safe
def api_entry(request: HttpRequest, pk: int) -> JsonResponse:
    return JsonResponse(_as_json(get_object_or_404(Entry, pk=pk)))
