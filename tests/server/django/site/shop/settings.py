"""A project whose server the variable SERVER names: "ropewalk" for ropewalk.django, else Django's own."""

import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent

SECRET_KEY = "of-the-tests"
DEBUG = "NO_DEBUG" not in os.environ
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True

INSTALLED_APPS = [
    *os.environ.get("APPS_BEFORE", "").split(),
    *(["ropewalk.django"] if os.environ.get("SERVER") == "ropewalk" else []),
    *os.environ.get("APPS_AFTER", "").split(),
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "shop",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
AUTH_USER_MODEL = "shop.Customer"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATIC_ROOT = FOLDER / "collected"
MEDIA_URL = "/media/"
MEDIA_ROOT = FOLDER / "media"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "shop.sqlite3",
        "CONN_MAX_AGE": None,
        "TEST": {"NAME": os.environ.get("TEST_DATABASE")},  # by default in memory
    }
}
