from django.apps import AppConfig


class HarbourConfig(AppConfig):
    name = "harbour"
    verbose_name = "Harbour log"
