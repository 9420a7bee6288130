from django.contrib.auth.models import AbstractUser


class Customer(AbstractUser):
    """A user model of the project's own."""
