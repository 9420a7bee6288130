from board import views
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls), path("", views.index), path("add", views.add)]
