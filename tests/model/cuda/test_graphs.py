"""Which computations are captured, remembered and forgotten; captured by a stand-in for a GPU."""

import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch

from model.cuda.graphs import CudaReplay, Graphs
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


def run(src: torch.Tensor, bgr: torch.Tensor) -> RefineOutput:
    return RefineOutput(*[src + number * bgr for number in range(6)])


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for CUDA's streams, events and graphs; notes what happens, in order."""
    events: list[str] = []

    class Stream:
        def wait_stream(self, other: object) -> None:
            events.append("wait for stream")

        def wait_event(self, event: object) -> None:
            events.append("wait for event")

    class Event:
        def record(self) -> None:
            events.append("record")

        def synchronize(self) -> None:
            events.append("synchronize")

    @contextmanager
    def capture(graph: object, capture_error_mode: str) -> Iterator[None]:
        events.append(f"capture {capture_error_mode}, {torch.backends.cudnn.benchmark}")
        yield

    names = {"Stream": Stream, "Event": Event, "CUDAGraph": SimpleNamespace, "graph": capture}
    names |= {"stream": lambda _: nullcontext(), "current_stream": Stream}
    for name, value in names.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return events


def replay_for(src: torch.Tensor, bgr: torch.Tensor) -> CudaReplay:
    """Captures `run`; like a graph's, its outputs keep their memory."""
    replay = CudaReplay(run, src, bgr)

    def again() -> None:
        for output, value in zip(replay._outputs, run(*replay._inputs), strict=True):
            output.copy_(value)

    replay._graph.replay = again
    return replay


@pytest.mark.parametrize("inference", [False, True])
def test_results_of_a_graph_are_copied_out(device: list[str], inference: bool) -> None:
    with torch.inference_mode(inference):
        src, bgr = SRC.clone(), BGR.clone()
        replay = replay_for(src, bgr)
        benchmark = torch.backends.cudnn.benchmark
    assert "capture thread_local, True" in device, "other threads may copy meanwhile"
    assert not benchmark
    device.clear()
    first = replay(src, bgr)
    assert device == ["wait for event", "record"]
    with torch.inference_mode():
        second = replay(BGR, SRC)
    for got, wanted in ((first, run(SRC, BGR)), (second, run(BGR, SRC))):
        for a, b in zip(got, wanted, strict=True):
            assert torch.equal(a, b)
    assert torch.equal(src, SRC)
    replay.finish()
    assert device[-1] == "synchronize"


def test_a_failed_capture_leaves_the_settings_as_they_were(device: list[str]) -> None:
    def fail(*_: object) -> RefineOutput:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        CudaReplay(fail, SRC, BGR)
    assert not torch.backends.cudnn.benchmark
