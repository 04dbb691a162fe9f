"""Offsets of groups, read while their coordinator moves: librdkafka's own stand-in for a broker says that it does."""

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import confluent_kafka
import pytest

_OFFSET_FETCH: Final = 9
_NOT_COORDINATOR: Final = 16
_PRODUCER: Final = 0
_READ: Final = """
import sys
from keeprate.deploy.offsets import Offsets, OffsetsError
offsets = Offsets(sys.argv[1], ["keeprate-join"])
for _ in range(20):
    try:
        print(offsets.read())
        break
    except OffsetsError as error:
        print("to be asked again:", error)
"""


@pytest.fixture
def moving() -> Iterator[str]:
    """The address of a stand-in that is not the coordinator, the first two times that it is asked for offsets."""
    packages = Path(confluent_kafka.__file__).parents[1]
    (path,) = (
        *packages.glob("confluent_kafka.libs/librdkafka*"),
        *packages.glob("confluent_kafka/.dylibs/librdkafka*"),
    )
    driver = ctypes.CDLL(str(path))
    for name in ("conf_new", "new", "mock_cluster_new", "mock_cluster_bootstraps"):
        getattr(driver, f"rd_kafka_{name}").restype = ctypes.c_void_p
    driver.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    client = ctypes.c_void_p(driver.rd_kafka_new(_PRODUCER, ctypes.c_void_p(driver.rd_kafka_conf_new()), None, 0))
    cluster = ctypes.c_void_p(driver.rd_kafka_mock_cluster_new(client, 1))
    assert driver.rd_kafka_mock_topic_create(cluster, b"keeprate.feedback", 2, 1) == 0
    errors = (ctypes.c_int * 2)(_NOT_COORDINATOR, _NOT_COORDINATOR)
    driver.rd_kafka_mock_push_request_errors_array(
        cluster, ctypes.c_int16(_OFFSET_FETCH), ctypes.c_size_t(len(errors)), errors
    )
    yield driver.rd_kafka_mock_cluster_bootstraps(cluster).decode()
    driver.rd_kafka_mock_cluster_destroy(cluster)
    driver.rd_kafka_destroy(client)


def test_a_coordinator_that_moves_ends_nobody(moving: str) -> None:
    """The question is asked again, and answered, in a process of its own: the driver's admin client ends it."""
    child = subprocess.run([sys.executable, "-c", _READ, moving], capture_output=True, text=True, timeout=100)
    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines()[-1] == "{}"
