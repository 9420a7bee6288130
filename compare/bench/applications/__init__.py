"""What the servers run: each module has one WSGI callable, `application`."""
