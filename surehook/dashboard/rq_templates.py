"""rq-dashboard's templates, rewritten while they are loaded.

1. They insert most values into HTML as they are: here every value is escaped, by the one place that inserts them.
2. The browser compiles them from text, which a Content-Security-Policy allows only with 'unsafe-eval': here they are
   compiled to functions before they are sent.
3. Their scripts get a nonce, and their `style` attributes become rules of a style sheet with one.
"""

import json
import re
import secrets
from collections.abc import Callable

from flask import Flask, Response, g
from jinja2 import BaseLoader, Environment

from surehook.dashboard.headers import page_headers

STYLE = """<style nonce="{{ nonce }}">
#compact-btn, #requeue-job-btn { display: none }
p.fixed.intro { height: auto }
#requeue-all-btn { float: right; margin-right: 8px }
</style>
</head>"""
SCRIPT = """<body>
<script nonce="{{ nonce }}">
var templates = {};
addEventListener("load", function () {
    $(document).ajaxError(function (event, response, sent) {
        if (sent.type === "POST") alert(response.responseText || "The dashboard does not answer.");
    });
});
</script>"""
# Values that their templates escape themselves would be escaped twice.
ESCAPED_ALREADY = re.compile(r"<%= \$\('<div/>'\)\.text\(([\w.]+)\)\.html\(\) %>")
TEMPLATE = re.compile(r'<script name="([\w-]+)" type="text/template">(.*?)</script>', re.DOTALL)
PART = re.compile(r"<%(=?)(.*?)%>", re.DOTALL)
USE = re.compile(r"""\$\('script\[name=([\w-]+)\]'\)\.html\(\)""")
STYLE_ATTRIBUTE = re.compile(r'\sstyle="[^"]*"')


class SafePages(BaseLoader):
    """Loads templates from another loader and rewrites them."""

    def __init__(self, originals: BaseLoader) -> None:
        self._originals = originals

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, filename, is_current = self._originals.get_source(environment, template)
        return rewritten(source), filename, is_current


def rewritten(source: str) -> str:
    source = ESCAPED_ALREADY.sub(r"<%= \1 %>", source.replace("<%-", "<%="))
    source = STYLE_ATTRIBUTE.sub("", source)
    source = source.replace('<script type="text/javascript">', '<script nonce="{{ nonce }}">')
    source = source.replace('<script src="', '<script nonce="{{ nonce }}" src="')
    source = TEMPLATE.sub(lambda found: compiled(found[1], found[2]), source)
    source = USE.sub(r'templates["\1"]', source).replace("_.template(", "(")
    source = source.replace("'{{ queue.name }}'", "{{ queue.name|tojson }}")
    return source.replace("<body>", SCRIPT).replace("</head>", STYLE)


def compiled(name: str, text: str) -> str:
    """Turns a template of underscore.js into a script: text as a string, or text with values as a function."""
    if "<%" not in text:
        return _script(name, json.dumps(text.strip()))
    lines, at = [], 0
    for part in PART.finditer(text):
        lines.append(f"html += {json.dumps(text[at : part.start()])};")
        lines.append(f"html += _.escape({part[2].strip()});" if part[1] else part[2])
        at = part.end()
    lines.append(f"html += {json.dumps(text[at:])};")
    body = "\n".join(lines)
    return _script(name, f"function (values) {{\nvar html = '';\nwith (values) {{\n{body}\n}}\nreturn html;\n}}")


def _script(name: str, value: str) -> str:
    return f'<script nonce="{{{{ nonce }}}}">\ntemplates["{name}"] = {value};\n</script>'


def serve_safe_pages(app: Flask) -> None:
    """Rewrites the app's templates, and gives every response the headers that go with them."""
    assert app.jinja_loader is not None  # noqa: S101 # its folder has templates
    app.jinja_env.loader = SafePages(app.jinja_loader)
    app.jinja_env.autoescape = True  # Flask's choice is by file name, and leaves out .js
    app.context_processor(lambda: {"nonce": _nonce()})
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    response.headers.update(page_headers(_nonce()))
    return response


def _nonce() -> str:
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    nonce: str = g.nonce
    return nonce
