"""The admin API's own document, as tools read it."""

import json
import urllib.request

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator


@pytest.fixture(scope="module")
def document(gateway):
    with urllib.request.urlopen(gateway.admin_url + "/openapi.json", timeout=10) as answer:
        return json.load(answer)


def test_the_document_is_openapi_3_1(document):
    faults = [f"{'/'.join(map(str, fault.path))}: {fault.message}" for fault in OpenAPIV31SpecValidator(document).iter_errors()]
    assert not faults, faults


def test_every_operation_is_described(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for field in ("operationId", "summary", "tags", "responses"):
                assert operation[field], f"{method} {path}: {field}"
