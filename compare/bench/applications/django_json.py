"""One Django view that answers JSON: what a framework costs, without what a project puts into it."""

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import JsonResponse
from django.urls import path


def greeting(request):
    return JsonResponse({"message": "Hello, world!", "numbers": list(range(10)), "path": request.path})


settings.configure(
    ALLOWED_HOSTS=["*"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # of every project; it sets Content-Length
    ROOT_URLCONF=__name__,
    SECRET_KEY="of the benchmark",
)
django.setup()
urlpatterns = [path("greeting", greeting)]
application = WSGIHandler()
