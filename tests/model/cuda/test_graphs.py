"""Which computations are captured, remembered and forgotten; captured by a stand-in for a GPU."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from model.cuda.graphs import Graphs
from model.outputs import RefineOutput

SRC, BGR = torch.rand(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class Recorder:
    """Captures by keeping the function; notes what happens, by key."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.events: list[str] = []
        self.seconds, self.inside, self.most = seconds, 0, 0

    def run(self, key: int):
        def run(src: torch.Tensor, bgr: torch.Tensor) -> RefineOutput:
            self.events.append(f"run {key}")
            return RefineOutput(*[src + key * bgr] * 6)

        run.key = key
        return run

    def capture(self, run, src: torch.Tensor, bgr: torch.Tensor):
        self.events.append(f"capture {run.key}")
        recorder = self

        class Replay:
            def __call__(self, src: torch.Tensor, bgr: torch.Tensor) -> RefineOutput:
                recorder.inside += 1
                recorder.most = max(recorder.most, recorder.inside)
                time.sleep(recorder.seconds)
                recorder.events.append(f"replay {run.key}")
                recorder.inside -= 1
                return RefineOutput(*[src + run.key * bgr] * 6)

            def finish(self) -> None:
                recorder.events.append(f"finish {run.key}")

        return Replay()

    def call(self, graphs: Graphs, *keys: int) -> list[str]:
        """Calls with each key, and returns what happened."""
        self.events.clear()
        for key in keys:
            output = graphs(key, self.run(key), SRC, BGR)
            assert torch.equal(output.pha, SRC + key * BGR)
        return [*self.events]


def test_a_size_is_captured_when_it_recurs() -> None:
    recorder = Recorder()
    graphs = Graphs(recorder.capture)
    assert recorder.call(graphs, 1, 2, 3) == ["run 1", "run 2", "run 3"]
    assert recorder.call(graphs, 2, 2) == ["capture 2", "replay 2", "replay 2"]


def test_four_sizes_are_remembered_and_the_oldest_is_finished_first() -> None:
    recorder = Recorder()
    graphs = Graphs(recorder.capture)
    recorder.call(graphs, 1, 1, 2, 2, 3, 3, 4, 4, 1)
    assert recorder.call(graphs, 5) == ["finish 2", "run 5"]
    assert recorder.call(graphs, 1, 3, 4) == ["replay 1", "replay 3", "replay 4"]
    assert recorder.call(graphs, 2) == ["run 2"]  # for which the 5 is forgotten
    assert recorder.call(graphs, 5) == ["finish 1", "run 5"]


def test_what_cannot_be_captured_runs_as_it_is_and_is_told_once() -> None:
    recorder = Recorder()

    def fail(*args: object) -> None:
        raise RuntimeError("operation not permitted\nwhile capturing")

    graphs = Graphs(fail)
    recorder.call(graphs, 1)
    with pytest.warns(UserWarning, match="without CUDA graphs.*slower: operation not permitted$"):
        assert recorder.call(graphs, 1) == ["run 1"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recorder.call(graphs, 1, 2, 2) == ["run 1", "run 2", "run 2"]


def test_threads_take_turns() -> None:
    recorder = Recorder(seconds=0.005)
    graphs = Graphs(recorder.capture)
    recorder.call(graphs, 1, 1, 2, 2)
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda key: graphs(key, recorder.run(key), SRC, BGR), [1, 2] * 8))
    for key, output in zip([1, 2] * 8, outputs, strict=True):
        assert torch.equal(output.pha, SRC + key * BGR)
    assert recorder.most == 1
