<!doctype html>
<title>Notes</title>
<link rel="stylesheet" href="/static/site.css">
<p>rows: {{rows}}</p>
% for name in names:
<a class="upload" href="/received/{{name}}">{{name}}</a>
% end
<form method="post" action="/add" enctype="multipart/form-data">
<input name="text"><input type="file" name="file"><button>Add</button></form>
