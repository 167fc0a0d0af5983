"""Joins a cluster of Ray, or starts Ray on this machine."""

import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn

from runtime.script import raise_interrupt

from .settings import ClusterSettings

LOCAL = "local"
_STORE = 200 * 2**20  # bytes of Ray's object store on this machine: names and results
_PATIENCE = 10.0  # seconds until a head answers; Ray itself would wait minutes


def import_ray(address: str) -> Any:
    """Imports Ray for use at an address; ValueError if it is not installed."""
    # Ray reads these when it is imported or started.
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # it would start again in a thread, after its end
    if address == LOCAL:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on any system: listens on loopback
        os.environ.setdefault("RAY_worker_niceness", "0")  # the actors are the program
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # no GPU for actors without
    try:
        import ray.data
    except ImportError as error:
        raise ValueError(
            f"matting cluster needs more packages ({error}): pip install 'background-matting[ray]'"
        ) from error
    return ray


def find_address(address: str) -> str:
    """Returns what RAY_ADDRESS names in place of `auto`, as Ray does."""
    return os.environ.get("RAY_ADDRESS") or address if address == "auto" else address


@contextmanager
def connected(settings: ClusterSettings, held: int) -> Iterator[ClusterSettings]:
    """Joins the cluster for a while.

    Args:
        settings: which, and what actors reserve.
        held: bytes that the driver puts into the object store.

    Yields:
        The settings with the GPUs that an actor reserves in this cluster.

    Raises:
        ValueError: without Ray, if the cluster can't be reached, or if this machine alone has too
            little for an actor.
    """
    settings = replace(settings, address=find_address(settings.address))
    if settings.address.startswith("ray://"):
        raise ValueError(
            "Ray Data does not work through ray://; start this program on a node of the cluster, "
            "for example by `ray job submit`, with --address auto"
        )
    ray = import_ray(settings.address)
    options: dict[str, Any] = {"address": settings.address}
    if settings.address == LOCAL:
        # Of this run alone: not on the network, no page, no file in the home folder.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        options["include_dashboard"] = False
        options["object_store_memory"] = _STORE + 2 * held
    try:
        if settings.address != LOCAL:
            _check_head(settings.address)
        ray.init(**options, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ValueError(
            f"the cluster at --address {settings.address} can't be joined: {error}. Start one "
            "with `ray start --head`, name another, or use --address local"
        ) from error
    except SystemExit:  # Ray's own answer to SIGTERM, which it takes over
        raise KeyboardInterrupt from None
    signal.signal(signal.SIGTERM, raise_interrupt)
    try:
        yield _fit(ray, settings)
    finally:
        ray.shutdown()


def _check_head(address: str) -> None:
    """Raises OSError or ValueError if nothing listens at the address of a cluster."""
    from ray._private.services import canonicalize_bootstrap_address  # as `ray status` does

    found = canonicalize_bootstrap_address(address)
    if found is None:  # ray.init says so
        return
    host, _, port = found.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(f"no answer from {found}: {error}") from error


def end_process(code: int) -> NoReturn:
    """Ends the process while a thread waits for the cluster, which drops this run's actors.

    After `ray.shutdown` such a thread would end it with another exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _fit(ray: Any, settings: ClusterSettings) -> ClusterSettings:
    """Chooses GPUs; prints a note if no node has what an actor reserves.

    Raises ValueError if that is on this machine alone.
    """
    gpus = settings.gpus_per_actor
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU", 0) >= 1 else 0.0
    wanted = {"CPU": settings.cpus_per_actor, "GPU": gpus}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(k, 0) >= n for k, n in wanted.items()) for node in nodes):
        lack = f"{settings.cpus_per_actor} CPUs and {gpus:g} GPUs for an actor"
        advice = "See --cpus-per-actor and --gpus-per-actor"
        if settings.address == LOCAL:  # which no node can join
            has = f"{nodes[0].get('CPU', 0):g} CPUs and {nodes[0].get('GPU', 0):g} GPUs"
            raise ValueError(f"this machine has no {lack}; Ray finds {has}. {advice}")
        print(f"note: no node has {lack}; the run waits until one comes. {advice}")
    return replace(settings, gpus_per_actor=gpus)
