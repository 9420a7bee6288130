"""One Django view that renders a page from a template."""

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path

from bench.applications.page import ROWS, TEMPLATE, TITLE

LOADER = ("django.template.loaders.locmem.Loader", {"page.html": TEMPLATE})


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(render_to_string("page.html", {"title": TITLE, "rows": ROWS}, request))


settings.configure(
    ALLOWED_HOSTS=["*"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # every project has it; it sets Content-Length
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for the benchmark",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [("django.template.loaders.cached.Loader", [LOADER])]},
        }
    ],
)
django.setup()
urlpatterns = [path("page", page)]
application = WSGIHandler()
