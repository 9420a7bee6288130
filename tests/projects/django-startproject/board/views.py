from django.shortcuts import redirect, render

from .models import Note


def index(request):
    return render(request, "board/index.html", {"rows": Note.objects.all()})


def add(request):
    Note.objects.create(text=request.POST["text"])
    return redirect("/")
