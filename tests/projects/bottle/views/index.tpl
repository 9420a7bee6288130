<!doctype html>
<title>Notes</title>
<link rel="stylesheet" href="/static/site.css">
<p>rows: {{rows}}</p>
<form method="post" action="/add"><input name="text"><button>Add</button></form>
