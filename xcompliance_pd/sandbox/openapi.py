"""What the sandbox speaks, as an OpenAPI 3 description that it publishes at ``/openapi.json``.

For the dialect ``gcs`` it is X's openapi.json 2.166, for ``xapi`` 2.167 (https://github.com/xdevplatform/docs), both
without their prose, and with what other sources add. Every addition carries an ``x-source``: "recorded", "prose" (a
page of X's that could be read, or the text of pull request 410), "reported" (another project's account) or "guess".
"""

from __future__ import annotations

from typing import Any

from ..protocol import JOB_ID, JOB_NAME_MAX, JOBS_PATH, UPLOAD_CONTENT_TYPE, JobStatus, JobType
from .dialects import Dialect

OPENAPI_PATH = "/openapi.json"

Node = dict[str, Any]

_ID_PATTERN = f"^{JOB_ID.pattern}$"
_TEXT: Node = {"type": "string"}
_COUNT: Node = {"type": "integer", "format": "int32"}
_TYPES = [str(type) for type in JobType]
_STATUSES = [str(status) for status in JobStatus]
_LISTABLE = ["created", "in_progress", "failed", "complete"]
_FIELDS = [
    "created_at",
    "download_expires_at",
    "download_url",
    "id",
    "name",
    "resumable",
    "status",
    "type",
    "upload_expires_at",
    "upload_url",
]
_BEARER: list[Node] = [{"BearerToken": []}]


def describe(dialect: Dialect, url: str, storage_url: str) -> Node:
    """Return the description of one dialect, spoken at these places.

    Parameters
    ----------
    dialect : Dialect
    url : str
        The API's base URL.
    storage_url : str
        Where the bytes go; in the newer dialect the same.

    Examples
    --------
    >>> told = describe(Dialect.XAPI, "http://127.0.0.1:1", "http://127.0.0.1:1")
    >>> sorted(told["paths"])[2:]
    ['/2/compliance/jobs/{id}/download', '/2/compliance/jobs/{id}/upload']
    """
    newer = dialect is Dialect.XAPI
    return {
        "openapi": "3.0.3",
        "info": {"title": f"Sandbox of X's batch compliance API, dialect {dialect}", "version": _version(newer)},
        "servers": [{"url": url}],
        "paths": {**_job_paths(newer), **(_newer_byte_paths() if newer else _older_byte_paths(storage_url))},
        "components": {
            "securitySchemes": {"BearerToken": {"type": "http", "scheme": "bearer"}},
            "parameters": {"ComplianceJobFieldsParameter": _fields_parameter()},
            "schemas": _newer_schemas() if newer else _older_schemas(),
        },
    }


def _version(newer: bool) -> str:
    return "2.167" if newer else "2.166"


def _ref(name: str, kind: str = "schemas") -> Node:
    return {"$ref": f"#/components/{kind}/{name}"}


def _list(items: Node, **more: Any) -> Node:
    return {"type": "array", "items": items, **more}


def _object(properties: Node, **more: Any) -> Node:
    return {"type": "object", "properties": properties, **more}


# --------------------------------------------------------------------------- the API's paths


def _fields_parameter() -> Node:
    items = {"type": "string", "enum": _FIELDS}
    return {
        "name": "compliance_job.fields",
        "in": "query",
        "required": False,
        "explode": False,
        "style": "form",
        "schema": _list(items, minItems=1, uniqueItems=True),
    }


def _query(name: str, required: bool, words: list[str]) -> Node:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "style": "form",
        "schema": {"type": "string", "enum": words},
    }


def _job_id(newer: bool) -> Node:
    schema = {"type": "string", "pattern": _ID_PATTERN} if newer else _ref("JobId")
    return {"name": "id", "in": "path", "required": True, "style": "simple", "schema": schema}


_REFUSED: Node = {
    "description": "The request has failed.",
    "content": {
        "application/json": {"schema": _ref("Error")},
        "application/problem+json": {"schema": _ref("Problem")},
    },
}


def _answers(schema: str) -> Node:
    done = {"description": "The request has succeeded.", "content": {"application/json": {"schema": _ref(schema)}}}
    return {"200": done, "default": _REFUSED}


def _job_paths(newer: bool) -> Node:
    fields = _ref("ComplianceJobFieldsParameter", "parameters")
    one, many, made, asked = (
        (
            "GetComplianceJobsByIdResponse",
            "GetComplianceJobsResponse",
            "CreateComplianceJobsResponse",
            "CreateComplianceJobsRequest",
        )
        if newer
        else (
            "Get2ComplianceJobsIdResponse",
            "Get2ComplianceJobsResponse",
            "CreateComplianceJobResponse",
            "CreateComplianceJobRequest",
        )
    )
    paths: Node = {
        JOBS_PATH: {
            "get": {
                "operationId": "getComplianceJobs",
                "parameters": [_query("type", True, _TYPES), _query("status", False, _LISTABLE), fields],
                "security": _BEARER,
                "responses": _answers(many),
            },
            "post": {
                "operationId": "createComplianceJobs",
                # 2.166 has none here; what 2.167 has is taken in both dialects.
                "parameters": [fields if newer else {**fields, "x-source": "guess"}],
                "security": _BEARER,
                "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(asked)}}},
                "responses": _answers(made),
            },
        },
        f"{JOBS_PATH}/{{id}}": {
            "get": {
                "operationId": "getComplianceJobsById",
                "parameters": [_job_id(newer), fields],
                "security": _BEARER,
                "responses": _answers(one),
            }
        },
    }
    if newer:
        paths[f"{JOBS_PATH}/{{id}}"]["delete"] = {
            "operationId": "cancelComplianceJob",
            "x-source": "prose",  # pull request 410; the operation's name and the form of its answer are guesses
            "parameters": [_job_id(newer)],
            "security": _BEARER,
            "responses": _answers(one),
        }
    return paths


# --------------------------------------------------------------------------- the paths of the bytes


def _binary(*types: str) -> Node:
    return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types}


def _newer_byte_paths() -> Node:
    """Pull request 410: a token as the sole credential, one PUT, problem+json. The rest is a guess."""
    token = {"name": "token", "in": "query", "required": True, "schema": {"type": "string", "minLength": 1}}
    refused = {
        "description": "The request has failed.",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    parameters = [_job_id(True), token]
    return {
        f"{JOBS_PATH}/{{id}}/upload": {
            "put": {
                "operationId": "uploadComplianceJob",
                "x-source": "prose",
                "parameters": parameters,
                "security": [{}, *_BEARER],  # open whether the bearer token is wanted as well
                "requestBody": {"required": True, "content": _binary("application/octet-stream", UPLOAD_CONTENT_TYPE)},
                "responses": {"200": {"description": "The IDs are stored."}, "default": refused},
            }
        },
        f"{JOBS_PATH}/{{id}}/download": {
            "get": {
                "operationId": "downloadComplianceJob",
                "x-source": "prose",
                "parameters": parameters,
                "security": [{}, *_BEARER],
                "responses": {
                    "200": {"description": "The results.", "content": _binary("application/octet-stream")},
                    "default": refused,
                },
            }
        },
    }


def _older_byte_paths(storage_url: str) -> Node:
    """Signed URLs of Google's storage, as recorded in October and November 2021."""
    signed = {
        "X-Goog-Algorithm": "^GOOG4-RSA-SHA256$",
        "X-Goog-Credential": "^[^/]+/[0-9]{8}/auto/storage/goog4_request$",
        "X-Goog-Date": "^[0-9]{8}T[0-9]{6}Z$",
        "X-Goog-Expires": "^[0-9]+$",
        "X-Goog-SignedHeaders": "^[a-z;-]+$",
        "X-Goog-Signature": "^[0-9a-f]{512}$",
    }
    parameters = [
        *(
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}
            for name, pattern in {
                "bucket": "^twttr-(tweet|user)-compliance$",
                "id": _ID_PATTERN,
                "object": "^[0-9]+_[0-9]{1,19}$",
            }.items()
        ),
        *(
            {"name": name, "in": "query", "required": True, "schema": {"type": "string", "pattern": pattern}}
            for name, pattern in signed.items()
        ),
    ]
    refused = {
        "description": "The request has failed.",
        "content": {"application/xml": {"schema": {"type": "object", "xml": {"name": "Error"}}}},
    }
    return {
        "/{bucket}/{id}/submission/{object}": {
            "servers": [{"url": storage_url}],
            "put": {
                "operationId": "uploadToStorage",
                "x-source": "recorded",
                "parameters": [
                    *parameters,
                    # of an upload in parts, whose description is prose
                    {"name": "upload_id", "in": "query", "required": False, "schema": _TEXT},
                    {"name": "Content-Range", "in": "header", "required": False, "schema": _TEXT},
                ],
                "security": [],
                "requestBody": {"required": False, "content": _binary(UPLOAD_CONTENT_TYPE)},
                "responses": {
                    "200": {"description": "The IDs are stored."},
                    "308": {"description": "Part of the IDs is stored; Range says which."},
                    "default": refused,
                },
            },
            "post": {
                "operationId": "startResumableUpload",
                "x-source": "prose",
                "parameters": [
                    *parameters,
                    {
                        "name": "x-goog-resumable",
                        "in": "header",
                        "required": True,
                        "schema": {"type": "string", "enum": ["start"]},
                    },
                ],
                "security": [],
                # Nothing is sent; it is here for the Content-Type, which is one of the signed headers.
                "requestBody": {
                    "required": True,
                    "content": {UPLOAD_CONTENT_TYPE: {"schema": {"type": "string", "maxLength": 0}}},
                },
                "responses": {"201": {"description": "Location is where the parts go."}, "default": refused},
            },
        },
        "/{bucket}/{id}/delivery/{object}": {
            "servers": [{"url": storage_url}],
            "get": {
                "operationId": "downloadFromStorage",
                "x-source": "recorded",
                "parameters": parameters,
                "security": [],
                "responses": {
                    "200": {"description": "The results.", "content": _binary("application/octet-stream")},
                    "default": refused,
                },
            },
        },
    }


# --------------------------------------------------------------------------- schemas

_ERROR: Node = _object({"code": _COUNT, "message": _TEXT}, required=["code", "message"])
_PROBLEM: Node = {"detail": _TEXT, "status": {"type": "integer"}, "title": _TEXT, "type": _TEXT}
# X refused true with 400 in September 2026.
_NOT_RESUMABLE: Node = {"type": "boolean", "enum": [False], "x-source": "reported"}
# Docs of 2024: only when the status is failed. In no spec version, and never recorded.
_JOB_ERROR: Node = {"type": "string", "x-source": "prose"}


def _envelopes(one: str, many: str, made: str, **least: int) -> Node:
    """Return the answers' schemas; `least` is what 2.166 says of each list, and 2.167 does not."""
    errors, data = _list(_ref("Problem"), **least), _ref("ComplianceJob")
    count = _ref("ResultCount") if least else _COUNT
    meta = _object({"result_count": count})
    return {
        one: _object({"data": data, "errors": errors}),
        many: _object({"data": _list(data, **least), "errors": errors, "meta": meta}),
        made: _object({"data": data, "errors": errors}),
    }


def _older_schemas() -> Node:
    moment = {"type": "string", "format": "date-time"}
    address = {"type": "string", "format": "uri"}
    parts = {
        "created_at": "CreatedAt",
        "download_expires_at": "DownloadExpiration",
        "download_url": "DownloadUrl",
        "id": "JobId",
        "name": "ComplianceJobName",
        "status": "ComplianceJobStatus",
        "type": "ComplianceJobType",
        "upload_expires_at": "UploadExpiration",
        "upload_url": "UploadUrl",
    }
    job = {key: _ref(name) for key, name in parts.items()}
    asked: Node = {
        "name": _ref("ComplianceJobName"),
        "resumable": {"type": "boolean"},
        "type": {"type": "string", "enum": _TYPES},
    }
    return {
        # "resumable" is missing from the schema of 2.166 and was in every recorded answer.
        "ComplianceJob": _object(
            {**job, "resumable": {"type": "boolean", "x-source": "recorded"}, "error": _JOB_ERROR},
            required=[key for key in parts if key != "name"],
        ),
        "ComplianceJobName": {"type": "string", "maxLength": JOB_NAME_MAX},
        "ComplianceJobStatus": {"type": "string", "enum": _STATUSES},
        "ComplianceJobType": {"type": "string", "enum": _TYPES},
        # 2.166 does not say so of other keys, 2.167 does.
        "CreateComplianceJobRequest": _object(asked, required=["type"], additionalProperties=False),
        "CreatedAt": moment,
        "DownloadExpiration": moment,
        "DownloadUrl": address,
        "Error": _ERROR,
        "JobId": {"type": "string", "pattern": _ID_PATTERN},
        "Problem": _object(_PROBLEM, required=["type", "title"]),
        "ResultCount": _COUNT,
        "UploadExpiration": moment,
        "UploadUrl": address,
        **_envelopes(
            "Get2ComplianceJobsIdResponse", "Get2ComplianceJobsResponse", "CreateComplianceJobResponse", minItems=1
        ),
    }


# The problems of 2.167: what each requires beyond type, title and detail, and what else it may hold.
_KINDS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "DisallowedResourceProblem": ("disallowed-resource", (), ("resource_id", "resource_type", "section")),
    "FieldHydrationFailureProblem": ("field-hydration-failure", ("field",), ("resource_type", "section")),
    "FieldUnauthorizedProblem": ("field-unauthorized", ("field",), ("resource_type", "section")),
    "InternalErrorProblem": ("internal-error", (), ()),
    "InvalidRequestProblem": ("invalid-request", (), ("parameter", "value")),
    "NotAuthorizedForFieldProblem": (
        "not-authorized-for-field",
        ("field",),
        ("parameter", "resource_id", "resource_type", "section", "value"),
    ),
    "NotAuthorizedForResourceProblem": (
        "not-authorized-for-resource",
        ("resource_type",),
        ("parameter", "resource_id", "section", "value"),
    ),
    "ResourceNotFoundProblem": (
        "resource-not-found",
        ("resource_type",),
        ("parameter", "resource_id", "value"),
    ),
    "ResourceUnavailableProblem": ("resource-unavailable", ("resource_type",), ("resource_id",)),
}


def _newer_schemas() -> Node:
    job: Node = {key: {"type": "boolean"} if key == "resumable" else _TEXT for key in _FIELDS}
    problems = {
        name: _object(
            {
                **_PROBLEM,
                **dict.fromkeys((*needed, *possible), _TEXT),
                "type": {"type": "string", "enum": [f"https://api.x.com/2/problems/{kind}"]},
            },
            required=["type", "title", "detail", *needed],
        )
        for name, (kind, needed, possible) in _KINDS.items()
    }
    # v2 answers 401, 403, 409 and 429 with a problem without a type of its own, which 2.167 does not list.
    generic = _object(
        {**_PROBLEM, "type": {"type": "string", "enum": ["about:blank"]}},
        required=["type", "title"],
        **{"x-source": "prose"},
    )
    asked: Node = {
        "name": {"type": "string", "maxLength": JOB_NAME_MAX},
        "resumable": _NOT_RESUMABLE,
        "type": {"type": "string", "enum": _TYPES},
    }
    return {
        "ComplianceJob": _object({**job, "error": _JOB_ERROR}),
        "CreateComplianceJobsRequest": _object(asked, required=["type"], additionalProperties=False),
        "Error": _ERROR,
        "Problem": {"oneOf": [_ref(name) for name in (*problems, "GenericProblem")]},
        **problems,
        "GenericProblem": generic,
        **_envelopes("GetComplianceJobsByIdResponse", "GetComplianceJobsResponse", "CreateComplianceJobsResponse"),
    }
