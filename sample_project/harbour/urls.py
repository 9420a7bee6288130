from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from . import views

urlpatterns = [
    path("", views.log, name="log"),
    path("entries/<int:pk>/delete", views.delete_entry, name="delete-entry"),
    path("log.csv", views.log_csv, name="log-csv"),
    path("papers", views.papers, name="papers"),
    path("papers/<uuid:pk>", views.paper, name="paper"),
    path("papers/<uuid:pk>/delete", views.delete_paper, name="delete-paper"),
    path("api/entries", views.api_entries, name="api-entries"),
    path("api/entries/<int:pk>", views.api_entry, name="api-entry"),
    path("login", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("sign-up", views.sign_up, name="sign-up"),
]
