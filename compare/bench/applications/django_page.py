"""One Django view that renders a page from a template."""

from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path

from bench.applications.django_settings import configure
from bench.applications.page import ROWS, TEMPLATE, TITLE

LOADER = ("django.template.loaders.locmem.Loader", {"page.html": TEMPLATE})


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(render_to_string("page.html", {"title": TITLE, "rows": ROWS}, request))


configure(
    __name__,
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [("django.template.loaders.cached.Loader", [LOADER])]},
        }
    ],
)
urlpatterns = [path("page", page)]
application = WSGIHandler()
