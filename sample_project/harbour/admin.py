from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from .models import Entry, Paper

admin.site.site_header = admin.site.site_title = "The Harbour Log"
admin.site.index_title = "Administration"


@admin.register(Entry)
class EntryAdmin(admin.ModelAdmin):
    list_display = ["vessel", "kind", "signed", "written_at"]
    list_filter = ["kind", "written_at"]
    search_fields = ["vessel", "text", "signed"]
    readonly_fields = ["written_at"]
    autocomplete_fields = ["author"]
    date_hierarchy = "written_at"


@admin.register(Paper)
class PaperAdmin(admin.ModelAdmin):
    """Read only, except for titles: the upload page computes size and hash."""

    list_display = ["title", "name", "size", "keeper", "kept_at"]
    search_fields = ["title", "name"]
    fields = ["title", "name", "size", "sha256", "keeper", "kept_at"]
    readonly_fields = ["name", "size", "sha256", "keeper", "kept_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, paper: Paper) -> None:
        paper.file.delete(save=False)
        super().delete_model(request, paper)

    def delete_queryset(self, request: HttpRequest, papers: QuerySet[Paper]) -> None:
        for paper in papers:
            self.delete_model(request, paper)
