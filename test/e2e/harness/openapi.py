"""docs/openapi.json as a judge: whatever test calls the API, each answer must be one that the file
allows. A change of an answer goes into the file with the same commit."""

import functools
import json
from pathlib import Path

import jsonschema_rs

DOC = json.loads((Path(__file__).parents[3] / "docs/openapi.json").read_text())

# Of requests that reach no operation: see the file's description.
BEFORE_ANY = {400, 403, 404, 405, 408, 413, 417, 431, 501, 503}


def check(method, path, answer):
    path = path.partition("?")[0]
    template = _template(path)
    operation = DOC["paths"].get(template, {}).get(method.lower())
    if operation is None or str(answer.status) not in operation["responses"]:
        assert answer.status in BEFORE_ANY or method == "HEAD", f"{method} {path}: {answer}"
        return
    media = answer.headers["content-type"]
    content = _content(template, method.lower(), str(answer.status))
    assert media in content, f"docs/openapi.json: {method} {template} {answer.status}: {media}"
    if "json" not in media:
        return
    is_lines = media == "application/x-ndjson"
    for text in answer.body.splitlines() if is_lines else [answer.body]:
        fault = next(content[media].iter_errors(json.loads(text)), None)
        assert fault is None, (
            f"docs/openapi.json does not allow this answer of {method} {template}: "
            f"{fault.message} at {fault.instance_path} of {text[:2000]!r}"
        )


@functools.lru_cache(1000)
def _template(path):
    """The file's path of a request's; the one that stands there as it is first."""
    if path in DOC["paths"]:
        return path
    segments = path.split("/")
    for template in DOC["paths"]:
        wanted = template.split("/")
        if len(wanted) == len(segments) and all(
            want == got or (want == "{id}" and got) for want, got in zip(wanted, segments)
        ):
            return template
    return path


@functools.cache
def _content(template, method, status):
    """What may come, by media type: a validator of each answer, or of each line of one."""
    response = DOC["paths"][template][method]["responses"][status]
    if "$ref" in response:
        response = DOC["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return {
        media: jsonschema_rs.Draft202012Validator(
            {**kind.get("x-line", kind["schema"]), "components": DOC["components"]},
            validate_formats=True,
        )
        for media, kind in response["content"].items()
    }
