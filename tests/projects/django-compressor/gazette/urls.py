from django.contrib.auth.models import Group
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_POST


def index(request):
    return render(request, "index.html", {"rows": Group.objects.all()})


@require_POST
def add(request):
    Group.objects.create(name=request.POST["text"])
    return redirect("/")


urlpatterns = [path("", index), path("add", add)]
