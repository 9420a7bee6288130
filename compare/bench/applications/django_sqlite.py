"""One Django view that reads a row from SQLite by its key, on a connection that stays open: /product/KEY."""

from __future__ import annotations

import os

from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path

from bench.applications.django_settings import configure

configure(
    __name__,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(os.environ["BENCH_FOLDER"], "products.sqlite"),
            "CONN_MAX_AGE": None,
        }
    },
)

from django.db import models  # noqa: E402 - a model needs the settings


class Product(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField()
    price = models.IntegerField()
    objects: models.Manager[Product] = models.Manager()

    class Meta:
        app_label = "bench"
        db_table = "product"
        managed = False


def product(request: HttpRequest, key: int) -> JsonResponse:
    found = Product.objects.get(pk=key)
    return JsonResponse({"id": found.id, "name": found.name, "price": found.price})


urlpatterns = [path("product/<int:key>", product)]
application = WSGIHandler()
