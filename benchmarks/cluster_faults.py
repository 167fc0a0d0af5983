"""Mattes photographs on three nodes of Ray on this machine, from and to an S3 server that fails.

Nodes and the driver are killed at random moments, and for a while the store answers with errors or
not at all. After a killed driver the run is started again with --on-existing skip. The outputs must
be those of one run without Ray, bit by bit. For a checkout, with the packages of `dev`.

Example: python -m benchmarks.cluster_faults --photographs 300 --node-kills 10 --driver-kills 5
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
_WIDTH = 96  # pixels
_MEMORY = 100 * 2**20  # bytes of each node's object store
_LOOK = 0.1  # seconds between looks at the progress
_MOST_RUNS = 30


class Writes:
    """Counts what a store of the tests has stored, name by name."""

    def __init__(self, store: Any) -> None:
        self.counts: Counter[str] = Counter()
        self.failed = 0
        self._inner, self._lock, self._prefix = store._moto, Lock(), f"/{store.bucket}/out/"
        store._moto = self

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Passes a request on to the server."""
        name = environ["PATH_INFO"]
        answer = self._inner(environ, start_response)
        wanted = name.startswith(self._prefix) and name.endswith(".png")
        if wanted and environ["REQUEST_METHOD"] == "PUT":
            with self._lock:
                self.counts[name.removeprefix(self._prefix)] += 1
        return answer

    def count_failure(self) -> None:
        """Counts a request that met a failure."""
        with self._lock:
            self.failed += 1


class Nodes:
    """Three nodes of Ray with one core each; the first is the head, which is not killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._options: dict[str, Any] = {"num_cpus": 1, "object_store_memory": _MEMORY}
        self._options |= {"include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=self._options)
        self._others = [self._cluster.add_node(**self._options) for _ in range(2)]
        self.address = self._cluster.address

    def kill(self, choice: random.Random) -> None:
        """Kills all processes of a node at once, and adds a new node."""
        node = self._others.pop(choice.randrange(len(self._others)))
        self._cluster.remove_node(node, allow_graceful=False)
        self._others.append(self._cluster.add_node(wait=False, **self._options))

    def close(self) -> None:
        """Ends all nodes."""
        self._cluster.shutdown()


def fill(store: Any, count: int) -> None:
    """Puts frames and plates into the store: crops of the demo's photographs, made small."""
    names = sorted(path.stem for path in (ROOT / "demo" / "src").glob("*.jpg"))
    for number in range(count):
        name, shift = names[number % len(names)], number // len(names)
        for kind in ("src", "bgr"):
            with Image.open(ROOT / "demo" / kind / f"{name}.jpg") as picture:
                box = (shift, shift, picture.width - 40 + shift % 40, picture.height - 40)
                small = picture.crop(box).resize((_WIDTH, _WIDTH * 3 // 4))
            data = BytesIO()
            small.save(data, "PNG")
            store.put(f"{kind}/{number:04}.png", data.getvalue())


def command(store: Any, program: str, out: str, *flags: str) -> list[str]:
    """The command of a run from the store's bucket to a folder of it."""
    bucket = f"s3://{store.bucket}"
    sources = ["--images-src", f"{bucket}/src", "--images-bgr", f"{bucket}/bgr"]
    run = [sys.executable, "-m", "matting", program, *sources]
    return [*run, "--output-dir", f"{bucket}/{out}", *flags]


def plan_events(args: argparse.Namespace, choice: random.Random) -> Iterator[tuple[int, str]]:
    """Yields what happens once so many outputs are stored, in order."""
    total = 2 * args.photographs
    kinds = ["node"] * args.node_kills + ["driver"] * args.driver_kills
    choice.shuffle(kinds)
    moments = sorted(choice.sample(range(1, int(0.9 * total)), len(kinds) + 1))
    return zip(moments, ["faults", *kinds], strict=True)


def run_disturbed(args: argparse.Namespace, store: Any, nodes: Nodes, writes: Writes) -> list[int]:
    """Runs until a run ends by itself with exit code 0; returns all exit codes."""
    from tests.storage.server import Fault

    choice = random.Random(args.seed)  # noqa: S311
    events = list(plan_events(args, choice))
    flags = ["--address", nodes.address, "--cpus-per-actor", "1", "--on-existing", "skip"]
    codes: list[int] = []
    until = float("inf")
    while len(codes) < _MOST_RUNS and (not codes or codes[-1] != 0):
        with subprocess.Popen(command(store, "cluster", "out", *flags), cwd=ROOT) as driver:  # noqa: S603
            while driver.poll() is None:
                time.sleep(_LOOK)
                if time.monotonic() > until:
                    store.faults.clear()
                    until = float("inf")
                if not events or len(writes.counts) < events[0][0]:
                    continue
                _, kind = events.pop(0)
                print(f"{len(writes.counts)} outputs: {kind}", file=sys.stderr, flush=True)
                if kind == "node":
                    nodes.kill(choice)
                elif kind == "driver":
                    driver.kill()
                else:
                    told: dict[str, Any] = {
                        "pattern": r"/(src|bgr|out)/",
                        "then": writes.count_failure,
                    }
                    errors = Fault(**told, status=503, code="SlowDown", chance=0.3)
                    silent = Fault(**told, hang=2.0, chance=0.1)
                    store.faults += [errors, silent]
                    until = time.monotonic() + args.fault_seconds
        codes.append(driver.returncode)
    store.faults.clear()
    return codes


def compare(store: Any) -> tuple[list[str], list[str]]:
    """Returns the outputs that one of the two runs lacks, and those that differ."""
    one, out = (
        {name.partition("/")[2] for name in store.names(f"{run}/") if name.endswith(".png")}
        for run in ("one", "out")
    )
    differ = [n for n in sorted(one & out) if store.get(f"one/{n}") != store.get(f"out/{n}")]
    return sorted(one ^ out), differ


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Runs everything; returns the figures."""
    from tests.storage.server import serve

    # Ray's processes start with these; it would give its workers the lowest priority.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    os.environ |= {"RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1"}
    with serve() as store, tempfile.TemporaryDirectory() as folder:
        os.environ |= {**store.environment, "TMPDIR": folder}
        store.new_bucket()
        fill(store, args.photographs)
        subprocess.run(command(store, "images", "one"), cwd=ROOT, check=True)  # noqa: S603
        writes = Writes(store)
        nodes = Nodes()
        start = time.monotonic()
        try:
            codes = run_disturbed(args, store, nodes, writes)
        finally:
            nodes.close()
        seconds = time.monotonic() - start
        lacking, differ = compare(store)
        parts = store.uploads()
        summary = json.loads(store.get("out/summary.json"))
    times = [min(count, 3) for count in writes.counts.values()]
    return {
        "photographs": args.photographs,
        "node kills": args.node_kills,
        "driver kills": args.driver_kills,
        "seconds": round(seconds, 1),
        "exit codes of the runs": codes,
        "requests that failed": writes.failed,
        "outputs stored once": times.count(1),
        "outputs stored twice": times.count(2),
        "outputs stored more often": times.count(3),
        "outputs of one of the two runs alone": lacking,
        "different from one run": differ,
        "uploads left open": parts,
        "last summary": summary["counts"],
    }


def main() -> int:
    """Runs the program; returns 0 only if nothing was lost and nothing done more than twice."""
    about = " ".join((__doc__ or "").split("\n\n")[0].split())
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--photographs", type=int, default=300)
    parser.add_argument("--node-kills", type=int, default=10)
    parser.add_argument("--driver-kills", type=int, default=5)
    parser.add_argument("--fault-seconds", type=float, default=20, help="length of the failures")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    figures = measure(parser.parse_args())
    print(json.dumps(figures, indent=2))
    wanted: dict[str, Any] = {
        "outputs of one of the two runs alone": [],
        "different from one run": [],
    }
    wanted |= {"uploads left open": [], "outputs stored more often": 0}
    good = all(figures[name] == value for name, value in wanted.items())
    return 0 if good and figures["exit codes of the runs"][-1] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
