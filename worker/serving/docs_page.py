"""`/docs`: a page of the OpenAPI document that loads nothing from elsewhere and needs no script."""

import json
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from jinja2 import Environment, StrictUndefined
from starlette.responses import HTMLResponse, Response

from worker.serving.replies import JsonReply

_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ document.info.title }}: the API</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<main>
<h1>{{ document.info.title }} {{ document.info.version }}</h1>
{% for paragraph in document.info.description.strip().split("\n\n") %}<p>{{ paragraph }}</p>
{% endfor %}
<p>For programs: <a href="/openapi.json">openapi.json</a> (OpenAPI {{ document.openapi }}).</p>
<h2>Routes</h2>
<nav><ul>
{% for one in operations %}<li><a href="#{{ one.anchor }}"><code>{{ one.method }} {{ one.path }}</code></a>
 {{ one.summary }}</li>
{% endfor %}</ul></nav>
{% for one in operations %}
<section id="{{ one.anchor }}">
<h3><code>{{ one.method }} {{ one.path }}</code></h3>
<p><strong>{{ one.summary }}.</strong> {{ one.description }}</p>
{% if one.parameters %}
<table><thead><tr><th>parameter</th><th>in</th><th>default</th><th>meaning</th></tr></thead><tbody>
{% for parameter in one.parameters %}<tr><td><code>{{ parameter.name }}</code></td><td>{{ parameter["in"] }}</td>
<td>{{ parameter.schema.get("default", "") }}</td><td>{{ parameter.get("description", "") }}</td></tr>
{% endfor %}</tbody></table>
{% endif %}
{% if one.body %}<p>Body: {{ one.body|shape }}</p>{% endif %}
<table><thead><tr><th>status</th><th>meaning</th><th>body</th></tr></thead><tbody>
{% for status, answer in one.responses.items() %}<tr><td>{{ status }}</td><td>{{ answer.description }}</td>
<td>{{ answer|content }}</td></tr>
{% endfor %}</tbody></table>
</section>
{% endfor %}
<h2>Shapes</h2>
{% for name, schema in shapes %}
<section id="shape-{{ name }}">
<h3>{{ name }}</h3>
{% if schema.get("description") %}<p>{{ schema.description }}</p>{% endif %}
<table><thead><tr><th>field</th><th>type</th><th>meaning</th></tr></thead><tbody>
{% for field, inner in schema.get("properties", {}).items() %}<tr>
<td><code>{{ field }}</code>{% if field in schema.get("required", []) %}, needed{% endif %}</td>
<td>{{ inner|shape }}</td><td>{{ inner.get("description", "") }}</td></tr>
{% endfor %}</tbody></table>
</section>
{% endfor %}
</main>
</body>
</html>
"""
_STYLE = """\
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
code { font: .92em/1.4 ui-monospace, monospace; background: var(--soft); padding: .1em .3em; border-radius: .2em; }
table { width: 100%; border-collapse: collapse; display: block; overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
"""


def docs_routes(document: Callable[[], dict[str, Any]]) -> APIRouter:
    """Return the routes of the documentation.

    Args:
        document: gives the OpenAPI document.
    """
    router = APIRouter(include_in_schema=False)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {"shape": _shape, "content": _content}
    page = environment.from_string(_PAGE)

    @router.get("/openapi.json")
    async def openapi() -> JsonReply:
        return JsonReply(json.dumps(document(), ensure_ascii=False).encode())

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        found = document()
        shapes = sorted(found["components"]["schemas"].items())
        said = page.render(document=found, operations=list(_operations(found)), shapes=shapes)
        return HTMLResponse(said, headers={"content-security-policy": _POLICY})

    @router.get("/docs/style.css")
    async def style() -> Response:
        return Response(_STYLE, media_type="text/css", headers={"cache-control": "max-age=3600"})

    del openapi, docs, style
    return router


def _operations(document: dict[str, Any]) -> Any:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield {
                "method": method.upper(),
                "path": path,
                "anchor": f"{method}-{path.strip('/').replace('/', '-').replace(':', '-')}",
                "summary": operation.get("summary", ""),
                "description": operation.get("description", ""),
                "parameters": operation.get("parameters", []),
                "body": next((one["schema"] for one in _bodies(operation)), None),
                "responses": operation["responses"],
            }


def _bodies(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return list(operation.get("requestBody", {}).get("content", {}).values())


def _content(answer: dict[str, Any]) -> str:
    return ", ".join(_shape(one.get("schema", {})) for one in answer.get("content", {}).values())


def _shape(schema: dict[str, Any]) -> str:
    """Return a schema in words, such as "Post, or a list of Post"."""
    kind = schema.get("type", "anything")
    said = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if "$ref" in schema:
        said = str(schema["$ref"]).rpartition("/")[2]
    elif several := schema.get("oneOf") or schema.get("anyOf"):
        said = ", or ".join(dict.fromkeys(_shape(one) for one in several))
    elif values := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        said = ", ".join(map(json.dumps, values))
    elif kind == "array":
        said = f"a list of {_shape(schema.get('items', {}))}"
    elif isinstance(schema.get("additionalProperties"), dict):
        said = f"an object of {_shape(schema['additionalProperties'])}"
    return said
