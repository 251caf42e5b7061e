# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Processes meet, or each of them says who is missing; the port is free afterwards."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ttc_jax.core import roll_call


def free_port() -> int:
    with socket.create_server(("", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def port(monkeypatch) -> int:
    """A free port; nothing waits as long as it does in earnest."""
    monkeypatch.setattr(roll_call, "SILENCE_S", 0.2)
    monkeypatch.setattr(roll_call, "GRACE_S", 1.0)
    return free_port()


def outcomes(*calls) -> list[str]:
    """What each call, all at the same time, came to: '' or the error."""

    def outcome(call):
        try:
            call()
        except (OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


def waits(port: int, count: int, timeout_s: float = 10.0):
    return lambda: roll_call.gather(port, count, timeout_s)


def calls(port: int, number: int, count: int, timeout_s: float = 10.0, after_s: float = 0.0):
    def call():
        time.sleep(after_s)
        roll_call.join(("localhost", port), number, count, timeout_s)

    return call


@pytest.mark.parametrize("late", [0, 3])
def test_all_go_on_once_all_are_there(port, late):
    begin = time.monotonic()
    steps = [waits(port, 4), *(calls(port, number, 4) for number in (1, 2, 3))]
    steps[late], slow = (lambda: (time.sleep(0.7), slow())), steps[late]
    assert outcomes(*steps) == [""] * 4
    assert 0.7 <= time.monotonic() - begin < 5
    socket.create_server(("", port)).close()  # free again at once, for JAX


def test_all_say_who_is_missing(port):
    first, *others = outcomes(waits(port, 5, 0.8), *(calls(port, n, 5, 0.8) for n in (1, 3)))
    assert first.startswith("TimeoutError: 2 of 5 processes did not come within 0.8 s: 2, 4; start")
    assert "--coordinator_timeout_s" in first
    assert all(f"process 0 gave up: {first.partition(': ')[2]}" in other for other in others)


def test_a_process_without_process_0_names_address_number_and_fix(port):
    begin = time.monotonic()
    (said,) = outcomes(calls(port, 2, 3, 0.5))
    assert time.monotonic() - begin < 3
    assert f"process 2 of 3 was not called by process 0 at localhost:{port} within 0.5 s" in said
    assert "Connection refused" in said and "the same --coordinator" in said


def test_a_host_without_a_name_is_reported():
    with pytest.raises(TimeoutError, match=r"at no\.such\.host\.invalid:8476 within 0\.3 s"):
        roll_call.join(("no.such.host.invalid", 8476), 1, 2, 0.3)


def test_a_process_that_comes_long_before_the_others_says_that_they_are_missing(port):
    _, early = outcomes(waits(port, 3, 2.0), calls(port, 1, 3, 0.3))
    assert "some other process has not come" in early


def test_a_port_that_is_taken_is_reported(port):
    with socket.create_server(("", port)):
        (said,) = outcomes(waits(port, 2))
    assert f"process 0 cannot listen on port {port}: Address already in use" in said


@pytest.mark.parametrize(
    ("number", "count", "words"),
    [
        (1, 3, "has a number that another one has"),
        (2, 4, "counts 4 processes, process 0 counts 3"),
    ],
)
def test_processes_that_contradict_each_other_all_end(port, number, count, words):
    said = outcomes(
        waits(port, 3), calls(port, 1, 3), calls(port, number, count, after_s=0.3)
    )  # the third says what the others do not expect
    assert said[0].startswith(f"ValueError: process {number} on ") and words in said[0]
    assert all(words in other for other in said[1:])


def test_strangers_do_not_count(port):
    def stranger():
        time.sleep(0.2)
        for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"ttc_jax one 2\n", b"other 1 2\n"):
            with socket.create_connection(("localhost", port)) as connection:
                connection.sendall(words)
        silent = socket.create_connection(("localhost", port))
        threading.Timer(1.0, silent.close).start()

    said = outcomes(waits(port, 2), stranger, calls(port, 1, 2, after_s=0.5))
    assert said == [""] * 3


def test_a_process_that_was_started_again_takes_its_own_place(port):
    def ended():
        time.sleep(0.2)
        with socket.create_connection(("localhost", port)) as connection:
            connection.sendall(b"ttc_jax 1 3\n")

    said = outcomes(
        waits(port, 3), ended, calls(port, 1, 3, after_s=0.5), calls(port, 2, 3, after_s=0.8)
    )
    assert said == [""] * 4


def test_a_stranger_at_the_port_is_not_process_0(port):
    server = socket.create_server(("", port))

    def answers():
        with server:
            server.settimeout(1.5)
            try:
                while True:
                    server.accept()[0].close()
            except TimeoutError:
                pass

    _, said = outcomes(answers, calls(port, 1, 2, 0.6))
    assert "something else answers there" in said
