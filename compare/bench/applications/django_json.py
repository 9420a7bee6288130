"""One Django view with a JSON response: the cost of the framework without that of a project."""

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path


def greeting(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"message": "Hello, world!", "numbers": list(range(10)), "path": request.path})


settings.configure(
    ALLOWED_HOSTS=["*"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # every project has it; it sets Content-Length
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for the benchmark",
)
django.setup()
urlpatterns = [path("greeting", greeting)]
application = WSGIHandler()
