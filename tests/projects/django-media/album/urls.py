from django.conf import settings
from django.conf.urls.static import static
from django.contrib.auth.models import Group
from django.core.files.storage import default_storage
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_POST


def index(request):
    uploads = []
    if default_storage.exists("files"):
        uploads = [default_storage.url(f"files/{name}") for name in default_storage.listdir("files")[1]]
    return render(request, "index.html", {"rows": Group.objects.all(), "uploads": uploads})


@require_POST
def add(request):
    if file := request.FILES.get("file"):
        default_storage.save(f"files/{file.name}", file)
    Group.objects.create(name=request.POST["text"])
    return redirect("/")


urlpatterns = [path("", index), path("add", add), *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT)]
