from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .facts import facts


@never_cache
@require_safe
def served_by(request: HttpRequest) -> HttpResponse:
    """The page for people."""
    return render(request, "served/served_by.html", {"served": facts(request)})


@never_cache
@require_safe
def api_served_by(request: HttpRequest) -> JsonResponse:
    """The same facts as JSON."""
    return JsonResponse(facts(request))
