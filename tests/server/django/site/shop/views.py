import threading
from pathlib import Path

from django.conf import settings
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse

from shop.models import Customer


def hello(request):
    return HttpResponse("hello")


def fails(request):
    raise ValueError("the reason")


def thread(request):
    return HttpResponse(threading.current_thread().name)


def request(request):
    fields = {name: value for name, value in request.META.items() if name.startswith("HTTP_X_")}
    return JsonResponse({"scheme": request.scheme, "address": request.META["REMOTE_ADDR"], **fields})


def stream(request):
    return StreamingHttpResponse(f"part {number}\n" for number in range(3))


def events(request):
    def produce():
        while not Path(settings.FOLDER, "may-end").exists():
            yield "data: still here\n\n"
            threading.Event().wait(0.05)

    return StreamingHttpResponse(produce(), content_type="text/event-stream")


def upload(request):
    return HttpResponse(len(request.body))


def waits(request):
    Path(settings.FOLDER, "is-waiting").touch()
    while not Path(settings.FOLDER, "may-end").exists():
        threading.Event().wait(0.01)
    return HttpResponse(str(Customer.objects.count()))


def big(request):
    Path(settings.FOLDER, "is-waiting").touch()
    return HttpResponse(b"x" * 20_000_000)


def customers(request):
    return HttpResponse(" ".join(Customer.objects.order_by("username").values_list("username", flat=True)))


def add(request):
    return HttpResponse(Customer.objects.create(username=request.GET["name"]).username)
