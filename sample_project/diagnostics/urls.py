from django.urls import path

from . import views

urlpatterns = [
    path("api/echo", views.echo, name="echo"),
    path("api/echo/<path:tail>", views.echo, name="echo-path"),
    path("slow", views.slow, name="slow"),
    path("stream", views.stream, name="stream"),
    path("raise", views.fail, name="raise"),
    path("redirect", views.redirect, name="redirect"),
    path("cookies", views.cookies, name="cookies"),
    path("häfen/<str:name>", views.haven, name="haven"),
]
