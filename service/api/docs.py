"""The API's description: /openapi.json (OpenAPI 3.1), and /docs, which shows it without any other server."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import swagger_ui_bundle
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from service.api import examples
from service.api.guard import OPEN
from service.problems import MEANINGS, MEDIA_TYPE


def install(app: FastAPI) -> None:
    """/docs and its files, and the media type of problems in the description."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(describe())
        return app.openapi_schema

    setattr(app, "openapi", openapi)  # noqa: B010 - FastAPI's own way to change the description; a checker wants none
    # Addresses are relative, so that the page also works behind a proxy's prefix.
    page = get_swagger_ui_html(
        openapi_url="docs/openapi.json",
        title=f"{app.title}: API",
        swagger_js_url="docs/static/swagger-ui-bundle.js",
        swagger_css_url="docs/static/swagger-ui.css",
        swagger_favicon_url="docs/static/favicon-32x32.png",
    ).body.decode()  # type: ignore[union-attr]
    policy = _policy(page)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    @app.get("/docs/openapi.json", include_in_schema=False)
    async def docs_openapi(_: Request) -> JSONResponse:
        return JSONResponse(as_3_0(app.openapi()))

    app.mount("/docs/static", StaticFiles(directory=str(swagger_ui_bundle.swagger_ui_path)))


def as_3_0(document: Any) -> Any:
    """The description in the terms of OpenAPI 3.0, for the bundled Swagger UI, which knows no later one.

    `type: null` becomes `nullable`, `const` an `enum` of one, `prefixItems` `items`, the first of `examples` `example`.
    """
    if isinstance(document, list):
        return [as_3_0(item) for item in document]
    if not isinstance(document, dict):
        return document
    # An example is a value, not a schema, whatever its fields are called.
    made = {
        key: value if key == "example" or (key == "examples" and isinstance(value, list)) else as_3_0(value)
        for key, value in document.items()
    }
    if "openapi" in made:
        made["openapi"] = "3.0.3"
    if {"type": "null"} in document.get("anyOf", []):
        rest = [as_3_0(choice) for choice in document["anyOf"] if choice != {"type": "null"}]
        del made["anyOf"]
        made |= {"nullable": True} | (rest[0] if len(rest) == 1 and "$ref" not in rest[0] else {"anyOf": rest})
    if made.get("type") == "null":
        del made["type"]
        made |= {"nullable": True, "enum": [None]}
    if "const" in made and isinstance(made["const"], str):
        made["enum"] = [made.pop("const")]
    if isinstance(made.get("prefixItems"), list):
        made["items"] = made.pop("prefixItems")[0]
    if isinstance(made.get("examples"), list):
        made["example"] = made.pop("examples")[0]
    return made


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """What the layers around the routes ask for and answer; and the media type of problems, which FastAPI takes for
    that of the route's answer.
    """
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["key"] = {"type": "http", "scheme": "bearer", "description": "an API key, where the service has any"}
    for name, path in document["paths"].items():
        for method, operation in path.items():
            if name not in OPEN:
                operation["security"] = [{}, {"key": []}]
                operation["responses"] = {"401": _refusal(401), "429": _refusal(429)} | operation["responses"]
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if (status == "default" or int(status) >= 400) and len(content) == 1:
                    response["content"] = {MEDIA_TYPE: next(iter(content.values()))}
            examples.add(name, method, operation)
    return document


def _refusal(status: int) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": MEANINGS[status], "content": {MEDIA_TYPE: problem}}


def _policy(page: str) -> str:
    """Scripts from here and the page's own one, known by its hash; Swagger UI writes styles and shows data: images."""
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    own = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src 'self' {own}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
