from typing import Any

from django import forms
from django.conf import settings
from django.template.defaultfilters import filesizeformat

from .models import Entry, Paper


class EntryForm(forms.ModelForm):
    class Meta:
        model = Entry
        fields = ["kind", "vessel", "text", "signed"]
        widgets = {
            "vessel": forms.TextInput(attrs={"placeholder": "Barque Hildegard"}),
            "text": forms.Textarea(attrs={"rows": 4, "placeholder": "In from Lübeck with forty bales of hemp."}),
            "signed": forms.TextInput(attrs={"autocomplete": "name"}),
        }

    def clean_vessel(self) -> str:
        vessel: str = self.cleaned_data["vessel"]
        if not any(character.isalpha() for character in vessel):
            raise forms.ValidationError("A vessel's name must contain at least one letter.")
        return vessel


class PaperForm(forms.ModelForm):
    class Meta:
        model = Paper
        fields = ["title", "file"]
        widgets = {"title": forms.TextInput(attrs={"placeholder": "Bill of lading, Hildegard"})}

    def __init__(self, *args: Any, too_large: str | None = None, **kwargs: Any) -> None:
        """`too_large` is the name of a file that the upload handler skipped."""
        super().__init__(*args, **kwargs)
        limit = filesizeformat(settings.MAX_UPLOAD_SIZE)
        self.fields["file"].help_text = f"Any kind of file, up to {limit}."
        if too_large is not None:
            self.fields["file"].error_messages["required"] = (
                f"“{too_large}” is larger than {limit}, the largest size allowed."
            )

    def save(self, commit: bool = True) -> Paper:
        file = self.cleaned_data["file"]
        self.instance.name = file.name[-200:]
        self.instance.size = file.size
        self.instance.sha256 = file.sha256
        paper: Paper = super().save(commit)
        return paper
