from django.conf import settings
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("harbour.urls")),
    path("", include("served.urls")),
    path("admin/", admin.site.urls),
]
if settings.DIAGNOSTICS:
    urlpatterns.append(path("", include("diagnostics.urls")))
