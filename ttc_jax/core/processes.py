# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The processes of one run: found in the cluster they run in, or named by flags, and joined.

jax is imported only once all that can be checked without it is: importing it takes seconds.
"""

import atexit
import os
import re
import sys
import time

from ttc_jax.core import roll_call

FLAGS = "--coordinator=HOST:PORT --processes=N --process=I"


def start(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    timeout_s: float = 300.0,
) -> None:
    """Joins this process to the others of its run; to be called before any other use of jax.

    Without arguments JAX looks at the cluster: Open MPI, SLURM, Cloud TPU, Kubernetes. Where there
    is none, where it has one process, and of `processes` = 1, nothing is initialised.

    Args:
      coordinator: 'host:port' of process 0, reachable from all; no cluster is asked then.
      processes: how many there are.
      process: the number of this one, from 0.
      timeout_s: seconds in which all have to come.

    Raises:
      ValueError: arguments that do not fit each other.
      OSError: the cluster does not tell its processes, or one was not met in time.
    """
    check(coordinator, processes, process, timeout_s)
    if processes == 1:
        return
    deadline = time.monotonic() + timeout_s
    devices = None  # all of this machine
    if coordinator is None:
        coordinator, processes, process, devices = _detected(timeout_s)
        if processes is None or processes == 1:
            return
    host, port = _split(coordinator)
    if process == 0:
        roll_call.gather(port, processes, timeout_s)
    else:
        roll_call.join((host, port), process, processes, timeout_s)
    import jax

    # It would take SIGTERM for a notice of preemption that nothing here waits for, and go on.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        coordinator,
        processes,
        process,
        None if os.environ.get("JAX_LOCAL_DEVICE_IDS") else devices,  # which JAX reads
        cluster_detection_method="deactivate",
        initialization_timeout=int(max(deadline - time.monotonic(), 0) + roll_call.GRACE_S),
    )


def leave(code: int) -> None:
    """Lets this process, which failed, end with `code` without waiting for the others.

    JAX would wait for all of them to end, and they for what this one does not do any more. Without
    it they end too, as JAX misses its heartbeat. A process alone ends as it would.
    """
    distributed = sys.modules.get("jax._src.distributed")
    if distributed is not None and distributed.global_state.client is not None:
        atexit.register(_end, code)  # runs before what JAX registered earlier


def _end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def check(
    coordinator: str | None, processes: int | None, process: int | None, timeout_s: float
) -> None:
    """ValueError, which says what to write, for arguments of `start` that cannot work."""
    if timeout_s <= 0:
        raise ValueError(f"--coordinator_timeout_s is {timeout_s:g}; give a positive number")
    given = {"coordinator": coordinator, "processes": processes, "process": process}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if processes is not None and processes < 1:
        raise ValueError(f"--processes is {processes}; there is at least one")
    if len(missing) == 3 or (processes == 1 and coordinator is None and not process):
        return
    if missing:
        raise ValueError(
            f"{' and '.join(missing)} missing; several processes need all of {FLAGS}, "
            f"or none of them where JAX detects the cluster"
        )
    _split(coordinator)
    if not 0 <= process < processes:
        raise ValueError(
            f"--process is {process} of --processes={processes}; they are numbered from 0 to "
            f"{processes - 1}"
        )


def _split(coordinator: str) -> tuple[str, int]:
    """Host, without the brackets of an IPv6 address, and port."""
    found = re.fullmatch(r"\[([^\[\]]+)\]:(\d{1,5})|([^\[\]:/\s]+):(\d{1,5})", coordinator)
    if not found or not 0 < int(found[2] or found[4]) < 65536:
        raise ValueError(
            f"--coordinator is {coordinator!r}; write HOST:PORT of process 0, such as "
            f"10.0.0.2:8476 or [fd00::2]:8476"
        )
    return found[1] or found[3], int(found[2] or found[4])


def _detected(
    timeout_s: float,
) -> tuple[str | None, int | None, int | None, list[int] | None]:
    """Address, number of processes, number of this one and its devices, as JAX detects them.

    All None outside of a cluster. JAX's public entry does not say what it found before it connects.
    """
    import jax  # noqa: F401  sets up Cloud TPU, by which it is detected
    from jax._src.clusters import ClusterEnv

    address = os.environ.get("JAX_COORDINATOR_ADDRESS")
    try:
        found = ClusterEnv.auto_detect_unset_distributed_params(
            address, None, None, None, None, int(timeout_s) or 1
        )
    except Exception as error:  # of whatever the cluster was asked through
        raise OSError(
            f"JAX detects a cluster but not its processes ({type(error).__name__}: {error}); name "
            f"them with {FLAGS}, or say --processes=1"
        ) from error
    if address and found[1] is None:
        raise ValueError(
            f"JAX_COORDINATOR_ADDRESS is {address}, but no cluster tells how many processes there "
            f"are; name them with {FLAGS}, or unset it"
        )
    return found
