"""One Django view with a JSON response: the cost of the framework without that of a project."""

from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path

from bench.applications.django_settings import configure


def greeting(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"message": "Hello, world!", "numbers": list(range(10)), "path": request.path})


configure(__name__)
urlpatterns = [path("greeting", greeting)]
application = WSGIHandler()
