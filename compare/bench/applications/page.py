"""The page that the templates render: a table of 20 products, with text that must be escaped."""

from __future__ import annotations

TITLE = "Ropes & twines"
ROWS = [
    {"number": str(number), "name": f"Rope <{number}> & twine", "price": f"{number * 1.25:.2f}"} for number in range(20)
]
TEMPLATE = """\
<!doctype html>
<title>{{ title }}</title>
<table>
{% for row in rows %}<tr><td>{{ row.number }}</td><td>{{ row.name }}</td><td>{{ row.price }}</td></tr>
{% endfor %}</table>
<p>The end</p>"""
"""The same in Django's language and in Jinja's."""
