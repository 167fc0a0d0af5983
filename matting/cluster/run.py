"""Matte photographs on a cluster of Ray, from and to a store or a folder that all nodes share.

Example: matting cluster --images-src s3://b/src --images-bgr s3://b/bgr --output-dir s3://b/out
"""

import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from runtime.script import deferred_interrupts
from runtime.settings import parse_settings, to_yaml
from runtime.wording import visible

from ..exported.card import card_path, list_files
from ..images.plan import plan_jobs
from ..images.report import Report, check_place
from ..loading import EXPORTED, check_output_types, load_predictor
from ..settings import ComputeSettings
from .connection import connected, end_process, find_address, import_ray
from .settings import Settings
from .stream import Stream, ask_cluster
from .worker import Assignment


def main() -> int:
    """Runs the program; returns its exit code: 0 only if everything was done."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    return matte_on_cluster(settings)


def matte_on_cluster(settings: Settings) -> int:
    """Mattes every frame of the settings; returns the exit code."""
    ray = import_ray(find_address(settings.cluster.address))
    images, output, target = settings.images, settings.output, settings.find_target()
    existing, shard = settings.existing, settings.find_shard()
    plan = plan_jobs(images.src, images.bgr, target, output.dir, output.types, existing, shard)
    facts = check_run(settings)
    weights = read_weights(settings.model.checkpoint)
    if not plan.count_jobs():  # nobody needs a cluster
        report = Report(settings, plan, facts, [])
        report.follow(Stream(plan, lambda batches: iter(()), lambda: False))
        return report.end()
    with (
        connected(settings.cluster, sum(map(len, weights.values()))) as cluster,
        deferred_interrupts() as interrupted,
    ):
        report = Report(settings, plan, facts, [])
        assignment = Assignment(settings, target, cluster.cpus_per_actor)
        held = ray.put(weights)
        ask = partial(ask_cluster, assignment=assignment, weights=held, settings=cluster)
        stream = Stream(plan, ask, interrupted)
        report.follow(stream)
        report.facts["actors"] = Counter(stream.devices.values())
        code = report.end()
        if stream.error:
            print(visible(f"error: {stream.error}"), file=sys.stderr)
            code = 1
        if stream.waits:
            end_process(code)
    return code


def check_run(settings: Settings) -> dict[str, Any]:
    """Loads the network here and makes the output folder: wrong ones end the run before any work.

    Returns:
        Facts for the summary.

    Raises:
        ValueError: when the network can't be used or does not give what is asked for, or the
            output folder can't be written.
    """
    model, compute = settings.model, settings.compute
    exported = model.checkpoint.suffix.lower() in EXPORTED
    # The actors' devices and packages are theirs.
    predictor = load_predictor(model, compute if exported else ComputeSettings(device="cpu"))
    check_output_types(predictor, settings.output.types)
    check_place(settings)
    print(visible(f"{predictor.kind} from {model.checkpoint}"))
    return {
        "network": predictor.kind,
        "precision": predictor.precision if exported else compute.precision or "by quality",
        "backend": compute.backend,
    }


def read_weights(checkpoint: Path) -> dict[str, bytes]:
    """Reads the network's file and those that belong to it, by name; OSError if that fails."""
    paths = [checkpoint]
    if checkpoint.suffix.lower() in EXPORTED:
        paths = [*list_files(checkpoint), card_path(checkpoint)]
    return {path.name: path.read_bytes() for path in paths}
