# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""All processes of a run meet at the coordinator's port before JAX uses it.

JAX's own client ends its process with SIGABRT when the coordinator cannot be reached or another
process never comes, and its service with SIGSEGV when the port is taken. Here each of these is an
error that says what is missing, in every process, and nothing else has been started yet.
"""

import socket
import time
from collections.abc import Iterable

GREETING = "ttc_jax"
GO = "go"
RETRY_S = 0.2
# Of a connection that says nothing; a health check of a load balancer is one.
SILENCE_S = 2.0
# What a process waits longer than process 0 does, so as to hear from it who is missing.
GRACE_S = 5.0
# Who ends the connection, or resets it with the greeting unread, is not process 0.
STRANGER = "something else answers there, such as a run that has already begun"


def gather(port: int, count: int, timeout_s: float) -> None:
    """Process 0 of `count` waits at `port` for all others, tells them to go on, and frees the port.

    Raises:
      OSError: the port is taken.
      TimeoutError: a process did not come within `timeout_s` seconds; those that did are told.
      ValueError: two processes have one number, or count differently; all are told.
    """
    deadline = time.monotonic() + timeout_s
    present: dict[int, socket.socket] = {}
    server = _listen(port)
    try:
        while len(present) < count - 1:
            server.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                connection, (host, *_) = server.accept()
            except TimeoutError:
                raise TimeoutError(_missing(count, present, timeout_s)) from None
            number = _greeted(connection, host, count, present)
            if number is None:
                connection.close()
            else:
                present[number] = connection
    except (TimeoutError, ValueError) as error:
        _tell(present.values(), f"error {error}")
        raise
    finally:
        server.close()
    _tell(present.values(), GO)


def join(address: tuple[str, int], number: int, count: int, timeout_s: float) -> None:
    """Process `number` of `count` reports at `address` and returns once all processes have.

    Raises:
      TimeoutError: process 0 was not met within `timeout_s` seconds.
      ConnectionAbortedError: process 0 says why the run cannot begin.
    """
    host, port = address
    deadline = time.monotonic() + timeout_s
    while True:
        verdict, text = "", ""
        met = False
        left = max(deadline - time.monotonic(), 0.01)
        try:
            with socket.create_connection(address, timeout=left) as connection:
                met = True
                connection.sendall(f"{GREETING} {number} {count}\n".encode())
                connection.settimeout(left + GRACE_S)
                verdict, _, text = _line(connection).partition(" ")
                why = STRANGER
        except TimeoutError as error:
            why = "some other process has not come" if met else str(error)
        except OSError as error:
            why = STRANGER if met else error.strerror or str(error)
        if verdict == GO:
            return
        if verdict == "error":
            raise ConnectionAbortedError(f"process 0 gave up: {text}")
        if time.monotonic() + RETRY_S > deadline:
            raise TimeoutError(
                f"process {number} of {count} was not called by process 0 at {host}:{port} within "
                f"{timeout_s:g} s ({why}); start process 0 on {host} with the same --coordinator, "
                f"let port {port} through between the machines, or wait longer with "
                f"--coordinator_timeout_s"
            )
        time.sleep(RETRY_S)


def _listen(port: int) -> socket.socket:
    """A socket on all addresses of this machine, as JAX's service will be."""
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port),
            family=socket.AF_INET6 if both else socket.AF_INET,
            dualstack_ipv6=both,
            backlog=1024,  # of a large pod all come at once
        )
    except OSError as error:
        raise OSError(
            f"process 0 cannot listen on port {port}: {error.strerror}; end what uses the port, "
            f"or name another one with --coordinator in all processes"
        ) from error


def _greeted(
    connection: socket.socket, host: str, count: int, present: dict[int, socket.socket]
) -> int | None:
    """The number of the process that called; None of a call that is none of ours."""
    connection.settimeout(SILENCE_S)
    try:
        words = _line(connection).split()
        name, number, theirs = words[0], *map(int, words[1:])
    except (OSError, ValueError, IndexError):
        return None
    if name != GREETING:
        return None
    if theirs != count or number in present and not _gone(present[number]):
        what = (
            f"counts {theirs} processes, process 0 counts {count}"
            if theirs != count
            else "has a number that another one has"
        )
        error = ValueError(
            f"process {number} on {host} {what}; give all the same --processes, and --process "
            f"from 0 to {count - 1}, each once"
        )
        _tell([connection], f"error {error}")
        raise error
    return number


def _gone(connection: socket.socket) -> bool:
    """Whether the process at the other end has ended: a restarted one may take its place."""
    connection.settimeout(0)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _line(connection: socket.socket) -> str:
    """The first line that comes; shorter where the connection ends before."""
    with connection.makefile("rb") as file:
        return file.readline(4096).decode(errors="replace").strip()


def _tell(connections: Iterable[socket.socket], line: str) -> None:
    for connection in connections:
        try:
            connection.settimeout(SILENCE_S)
            connection.sendall(f"{line}\n".encode())
        except OSError:
            pass  # it has ended, which JAX reports
        finally:
            connection.close()


def _missing(count: int, present: Iterable[int], timeout_s: float) -> str:
    absent = [number for number in range(1, count) if number not in set(present)]
    named = ", ".join(map(str, absent[:8])) + (", ..." if len(absent) > 8 else "")
    return (
        f"{len(absent)} of {count} processes did not come within {timeout_s:g} s: {named}; "
        f"start them with the same --coordinator and --processes, or wait longer with "
        f"--coordinator_timeout_s"
    )
