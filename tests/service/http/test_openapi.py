"""The service's own description of itself is true: whatever it allows to be sent is answered as it says."""

import io

import hypothesis
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import strategies as st
from PIL import Image
from pydantic import SecretStr
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.app import create_app
from service.settings import Settings

KEY = "a-key-for-the-repository"  # whose extension is off without one
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def _encoded(kind):
    buffer = io.BytesIO()
    Image.fromarray(np.arange(24 * 20 * 3, dtype=np.uint8).reshape(24, 20, 3)).save(buffer, kind)
    return buffer.getvalue()


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


# Of random bytes none are a picture, so some pictures are sent among them.
schemathesis.openapi.media_type("image/*", st.sampled_from([_encoded("PNG"), _encoded("JPEG")]) | st.binary())
schemathesis.openapi.media_type(
    "application/x-npy", st.sampled_from([_npy(np.zeros((9, 9, 3), np.uint8)), _npy(np.zeros(9))]) | st.binary()
)


OPERATIONS = [
    (method, path)
    for path, methods in create_app(Settings(device="cpu")).openapi()["paths"].items()
    for method in methods
]


@pytest.fixture(scope="module")
def description(settings, serve_app):
    with serve_app(create_app(settings.model_copy(update={"api_key": SecretStr(KEY)}))) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json", headers={"X-API-Key": KEY})


def check_answers(description, method, path, examples, derandomize):
    """What keeps to the description, and of what is posted also what does not; for models that exist and others."""
    operation = description[path][method]
    cases = operation.as_strategy()
    if method == "post":
        cases |= operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @hypothesis.settings(
        max_examples=examples,
        derandomize=derandomize,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(cases, st.booleans())
    def check(case, known):
        if known and "/repository/" not in path:  # where it would be unloaded
            real = {"name": "shapes-scs", "version": "1"}
            case.path_parameters = {name: real[name] for name in case.path_parameters or {}}
        case.call_and_validate(checks=CHECKS, headers={"X-API-Key": KEY})

    check()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_the_description_allows_is_answered_as_it_says(description, method, path):
    check_answers(description, method, path, examples=10, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_much_of_what_the_description_allows_is_answered_as_it_says(description, method, path):
    check_answers(description, method, path, examples=200, derandomize=False)
