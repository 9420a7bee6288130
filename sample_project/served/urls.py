from django.urls import path

from . import views

urlpatterns = [
    path("served-by", views.served_by, name="served-by"),
    path("api/served-by", views.api_served_by, name="api-served-by"),
]
