from django.urls import path

from shop import views

urlpatterns = [
    path("", views.hello),
    path("fails", views.fails),
    path("thread", views.thread),
    path("request", views.request),
    path("stream", views.stream),
    path("events", views.events),
    path("upload", views.upload),
    path("waits", views.waits),
    path("big", views.big),
    path("customers", views.customers),
    path("add", views.add),
]
