"""The collector keeps to its OpenAPI document: whatever is sent, the answer is one that the document names."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.producers.collector.openapi import document
from tests.collecting import CollectorProcess
from tests.examples import examples
from tests.streaming import create_topics

OPERATIONS = (
    ("/v1/events", "POST"),
    ("/v1/traces", "POST"),
    ("/v1/logs", "POST"),
    ("/v1/metrics", "POST"),
    ("/healthz", "GET"),
    ("/readyz", "GET"),
    ("/openapi.json", "GET"),
)


@pytest.fixture(scope="module")
def collector(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    create_topics(kafka.bootstrap)
    with CollectorProcess(tmp_path_factory.mktemp("openapi"), kafka.bootstrap, "openapi", "--rate", "0") as process:
        yield process


# A request without parameters or a body cannot be wrong, so only posts are tried with what the document forbids.
CASES = [(path, method, "positive") for path, method in OPERATIONS] + [
    (path, method, "negative") for path, method in OPERATIONS if method == "POST"
]


@pytest.mark.hypothesis
@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_every_answer_is_one_that_the_document_names(
    collector: CollectorProcess, path: str, method: str, mode: str
) -> None:
    """For requests that the document allows and for those that it does not."""
    # Loaded here: the package is large, and each of the processes that test collects every file.
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    key = {"authorization": f"Bearer {collector.key}"}
    operation = schemathesis.openapi.from_url(f"{collector.url}/openapi.json", headers=key)[path][method]

    @given(operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    @settings(max_examples=examples(60), phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def answers_as_described(case: Any) -> None:
        case.call_and_validate(
            headers=key,
            checks=[
                not_a_server_error,
                status_code_conformance,
                content_type_conformance,
                response_schema_conformance,
            ],
        )

    answers_as_described()


def test_the_document_names_every_path_that_is_tested() -> None:
    """A new path needs its description, and then its line above; its schemas are JSON Schema."""
    described = json.loads(document(1 << 20))
    for component in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(component)
    paths = described["paths"]
    assert {(path, method.upper()) for path, item in paths.items() for method in item} == set(OPERATIONS)
