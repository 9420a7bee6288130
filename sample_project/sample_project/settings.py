"""Settings, all from environment variables; README.md lists them.

With none set, the project runs as in production (no debug pages) for a visitor on this machine, keeps its data in
./data, and generates a secret key there the first time.
"""

import secrets
import sys
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from . import environment

BASE_DIR = Path(__file__).resolve().parent.parent

# `collectstatic` runs while an image is built. Every container of that image would share what it leaves on disk, so its
# key lasts only as long as the command, and it creates no data directory.
_BUILDING = sys.argv[1:2] == ["collectstatic"]

DEBUG = environment.flag("DEBUG")
# Pages for testing a deployment (diagnostics/), and the delay of /log.csv. With them a stranger can occupy threads.
DIAGNOSTICS = environment.flag("DIAGNOSTICS")

DATA_DIR = environment.directory("DATA_DIR", BASE_DIR / "data")
STATIC_ROOT = environment.directory("STATIC_ROOT", DATA_DIR / "static")
MEDIA_ROOT = environment.directory("MEDIA_ROOT", DATA_DIR / "media")
# Uploads are written to the file system that keeps them, so that they are renamed rather than copied, and a read-only
# root with a small /tmp does not limit their size.
FILE_UPLOAD_TEMP_DIR = MEDIA_ROOT / "incoming"
if not _BUILDING:
    environment.make_directory(DATA_DIR, "DATA_DIR")
    environment.make_directory(FILE_UPLOAD_TEMP_DIR, "MEDIA_ROOT")

SECRET_KEY = environment.secret("SECRET_KEY")
if SECRET_KEY is None and _BUILDING:
    SECRET_KEY = secrets.token_urlsafe(50)
elif SECRET_KEY is None:
    SECRET_KEY = environment.kept_secret(DATA_DIR / "secret_key", "SECRET_KEY")

ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = environment.names("CSRF_TRUSTED_ORIGINS")
for _origin in CSRF_TRUSTED_ORIGINS:
    if not _origin.startswith(("http://", "https://")):
        raise ImproperlyConfigured(f"CSRF_TRUSTED_ORIGINS={_origin!r}: each origin must start with http:// or https://")

# The server accepts X-Forwarded-Proto from proxies that it trusts, so request.is_secure() is correct without this.
# BEHIND_PROXY=1 is for a server that does not: Django then trusts the header from *anyone*, which is safe only if every
# request comes through a proxy that overwrites it.
if environment.flag("BEHIND_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Off by default: secure cookies are not sent over http, so no one could log in at http://localhost.
HTTPS_ONLY = environment.flag("HTTPS_ONLY")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_HSTS_SECONDS = environment.number("HSTS_SECONDS", 0, least=0, most=63_072_000)
# W005 and W021 concern subdomains and preload lists, a decision for the owner of a domain.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "harbour",
    "served",
    "diagnostics",
]

MIDDLEWARE = [
    # First: health checks ignore ALLOWED_HOSTS and https.
    "sample_project.middleware.HealthMiddleware",
    "sample_project.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "sample_project.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "sample_project.urls"
WSGI_APPLICATION = "sample_project.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database() -> dict[str, Any]:
    database: dict[str, Any]
    url = environment.secret("DATABASE_URL", optional=True)
    if url is None:
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "db.sqlite3"}
    else:
        try:
            # The message must not contain the URL, which has a password in it.
            database = dict(dj_database_url.parse(url, conn_health_checks=True))
        except ValueError:
            raise ImproperlyConfigured(
                "DATABASE_URL cannot be parsed: must be like "
                "postgres://user:password@host:5432/name or sqlite:////absolute/path"
            ) from None
    # Connections are reused for a minute: connecting takes longer than most queries.
    database["CONN_MAX_AGE"] = 60
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database["OPTIONS"] = {
            # A writer takes its lock at the start of the transaction. Upgrading a read lock later fails at once with
            # "database is locked", whatever the timeout.
            "transaction_mode": "IMMEDIATE",
            "timeout": 15,  # seconds to wait for another writer: less than a request timeout
            # With a write-ahead log, readers do not wait for the writer, and NORMAL survives a crash.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        }
    return database


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "log"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        # A name with a hash of the content may be cached forever.
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
    },
}

# The limit for the fields of a form without its files: they are held in memory.
DATA_UPLOAD_MAX_MEMORY_SIZE = environment.size("DATA_UPLOAD_MAX_MEMORY_SIZE", "2m")
MAX_UPLOAD_SIZE = environment.size("MAX_UPLOAD_SIZE", "64m")
FILE_UPLOAD_HANDLERS = ["harbour.uploads.HashingUploadHandler"]

_LOG_LEVEL = environment.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "sample_project.middleware.RequestIdFilter"}},
    "formatters": {
        "line": {"format": "{levelname} {name} [{request_id}] {message}", "style": "{"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]},
    },
    "root": {"handlers": ["stderr"], "level": _LOG_LEVEL},
    # Django's own handlers print only in debug mode, and send mail to no one.
    "loggers": {"django": {"handlers": [], "level": _LOG_LEVEL, "propagate": True}},
}
