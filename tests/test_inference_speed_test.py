"""inference_speed_test.py from end to end, at sizes that take no time."""

import importlib.util
import json
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

import inference_speed_test as script
from benchmarks.speed import end_to_end, network
from benchmarks.speed import speed as speed_module
from benchmarks.speed import table as speed_table
from benchmarks.speed.table import Preset
from benchmarks.timing import Timing
from matting.predictor import Predictor
from matting.quality import HD, UHD_4K, Budget
from model import MattingBase
from runtime.script import run_script as run_whole
from tests.conftest import Run

PEAK = 1e11
SMALL = ("--resolution", 64, 64, "--iterations", 2, "--warm-up", 1)
# As the paper has them, table 3.
PUBLISHED = [
    *(("resnet50", "HD", 60.0, 34.3), ("resnet50", "4K", 33.2, 41.5)),
    *(("resnet101", "HD", 42.5, 44.0), ("resnet101", "4K", 29.8, 51.2)),
    *(("mobilenetv2", "HD", 100.6, 9.9), ("mobilenetv2", "4K", 45.4, 17.0)),
]

Call = Callable[..., Run]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Call:
    """Runs the script in this process, which has imported everything, with a peak that is given."""
    monkeypatch.setattr(network, "measure_peak", lambda device, precision: PEAK)
    monkeypatch.setattr(signal, "signal", lambda *args: None)

    def run(*args: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["inference_speed_test.py", *map(str, args)])
        try:
            code = run_whole(script.main)
        except SystemExit as end:
            code = end.code
        return Run(code, *capsys.readouterr())

    return run


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def check_figures(figures: dict, peak: float = PEAK) -> None:
    """What must hold between the figures of any measurement."""
    mean = figures["mean_ms"] / 1e3
    assert figures["frames_per_second"] == pytest.approx(figures["batch_size"] / mean)
    assert 0 < figures["p50_ms"] <= figures["p95_ms"]
    computed = 2 * figures["gmac"] * 1e9 * figures["batch_size"]
    assert figures["peak_share"] == pytest.approx(computed / mean / peak)
    assert figures["gmac"] > 0


def test_no_folder_of_the_machine_stands_in_the_file(tmp_path: Path, call: Call) -> None:
    out = tmp_path / "a\x1b.json"
    run = call(*SMALL, "--model-type", "mattingbase", "--json", out)
    run.check(0, r"everything above is in .*a\\x1b.json")
    assert read(out)["settings"]["json"] == "…/a\x1b.json"
    assert read(out)["speed"]["weights"] == "…/mattingrefine_mobilenetv2.safetensors"
    assert str(Path.cwd()) not in out.read_text("utf-8")


def test_as_a_user_runs_it(tmp_path: Path, run_script: Call) -> None:
    out = tmp_path / "new" / "speed.json"
    command = (sys.executable, "inference_speed_test.py")
    run = run_script(*SMALL, "--json", out, command=command).check(0, "frames/s", "GMac a frame")
    assert run.err == ""
    result = read(out)
    speed, peak = result["speed"], result["peak_gflops"] * 1e9
    check_figures(speed, peak)
    # No CPU core does more than this; and products of matrices keep it busy.
    assert 1e8 < peak < 1e13
    assert (speed["width"], speed["height"], speed["iterations"]) == (64, 64, 2)
    assert speed["peak_memory_mib"] is None or 0 < speed["peak_memory_mib"] < 2000
    assert (result["machine"]["threads"], result["machine"]["device"][:3]) == (1, "cpu")
    assert result["machine"]["versions"]["torch"] == torch.__version__.split("+")[0]
    assert result["settings"]["measure"]["resolution"] == [64, 64]
    printed = float(re.search(r"frames/s +([\d.]+)", run.out)[1])
    assert printed == pytest.approx(speed["frames_per_second"], abs=0.006)
    assert "weights/mattingrefine_mobilenetv2" in run.out


def test_counts_the_coarse_network_by_hand(tmp_path: Path, call: Call) -> None:
    counts = []

    def note(module: torch.nn.Conv2d, inputs: object, output: torch.Tensor) -> None:
        side = module.kernel_size[0]
        counts.append(output.numel() * module.in_channels // module.groups * side**2)

    network = MattingBase("mobilenetv2").eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(note)
    with torch.inference_mode():
        network(*torch.rand(2, 1, 3, 32, 64))
    arguments = ("--model-type", "mattingbase", "--iterations", 1, "--json", tmp_path / "a.json")
    # At the resolution itself, or at the scale that is given.
    for size, scale in (((64, 32), ()), ((128, 64), ("--model-backbone-scale", 0.5))):
        call(*arguments, "--resolution", *size, *scale, "--overwrite").check(0)
        speed = read(tmp_path / "a.json")["speed"]
        assert speed["gmac"] * 1e9 == pytest.approx(sum(counts))
        assert speed["refine_mode"] is None


@pytest.mark.slow
def test_batches_count_their_frames(tmp_path: Path, call: Call) -> None:
    out = tmp_path / "a.json"
    full = ("--model-refine-mode", "full", "--json", out, "--overwrite")
    speeds = []
    for batch_size in (1, 2):
        call(*SMALL, *full, "--batch-size", batch_size).check(0)
        speeds.append(read(out)["speed"])
        check_figures(speeds[-1])
    assert [speed["batch_size"] for speed in speeds] == [1, 2]
    # Everything is refined, so a frame's work does not depend on what is in it.
    assert speeds[0]["gmac"] == pytest.approx(speeds[1]["gmac"], rel=1e-6)


@pytest.mark.slow
def test_refines_as_many_cells_as_it_is_told(tmp_path: Path, call: Call) -> None:
    out = tmp_path / "a.json"
    macs = []
    for pixels in (512, 4096):
        call(*SMALL, "--model-refine-sample-pixels", pixels, "--json", out, "-y").check(0)
        macs.append(read(out)["speed"]["gmac"])
        assert read(out)["speed"]["refine_sample_pixels"] == pixels
    assert macs[0] < macs[1], "noise must be refined whatever error is predicted"


def test_budget_is_that_of_the_size(tmp_path: Path, call: Call, monkeypatch) -> None:
    """The authors' defaults at HD, and the paper's preset at 4K; nothing is computed there."""
    monkeypatch.setattr(speed_module, "time_calls", lambda *args: Timing((0.5, 0.25)))
    monkeypatch.setattr(speed_module, "count_macs", lambda call: 3e9)
    out = tmp_path / "a.json"
    for size, budget in (((), HD), (("--resolution", 3840, 2160), UHD_4K)):
        call(*size, "--json", out, "-y").check(0)
        figures = read(out)["speed"]
        check_figures(figures)
        assert (figures["frames_per_second"], figures["gmac"]) == (pytest.approx(1 / 0.375), 3)
        assert (figures["p50_ms"], figures["refine_mode"]) == (375, "sampling")
        found = Budget(figures["backbone_scale"], figures["refine_sample_pixels"])
        assert found == budget


def test_pictures_are_paired_and_averaged(tmp_path: Path, call: Call, photographs) -> None:
    plate = photographs.plate(64, 96)
    for name, pixels in (("a", plate), ("sub/b", plate[:50, :66])):
        photographs.save(tmp_path / "src" / f"{name}.png", photographs.frame(pixels))
        photographs.save(tmp_path / "bgr" / f"{name}.jpg", pixels)
    out = tmp_path / "a.json"
    pictures = ("--image-src", tmp_path / "src", "--image-bgr", tmp_path / "bgr")
    arguments = (*pictures, "--iterations", 2, "--warm-up", 1, "--json", out, "-y")
    call(*arguments).check(0, "of several sizes")
    speed = read(out)["speed"]
    check_figures(speed)
    frames = speed["frames"]
    # Rows and columns are repeated up to a multiple of four.
    assert {n: (f["width"], f["height"]) for n, f in frames.items()} == {
        "a.png": (96, 64),
        "sub/b.png": (68, 52),
    }
    means = [frame["mean_ms"] for frame in frames.values()]
    assert speed["mean_ms"] == pytest.approx(sum(means) / 2)
    assert (speed["width"], speed["iterations"]) == (None, 4)
    call(*arguments, "--resolution", 32, 64).check(0, "32 x 64")
    assert {f["width"] for f in read(out)["speed"]["frames"].values()} == {32}
    (tmp_path / "bgr/sub/b.jpg").unlink()
    call(*arguments).check(2, "every frame of --image-src needs a plate.*sub/b.png: no plate")


@pytest.mark.slow
def test_weights_are_random_only_where_none_fit(tmp_path: Path, call: Call) -> None:
    for arguments, expected in (
        (("--model-type", "mattingbase"), "weights .*mattingrefine_mobilenetv2"),
        (("--model-refine-kernel-size", 1), "kernel size 1, weights random.*note: random weights"),
    ):
        call(*SMALL, *arguments).check(0, expected)
    torch.save(MattingBase("mobilenetv2").state_dict(), tmp_path / "base.pth")
    named = ("--model-checkpoint", tmp_path / "base.pth")
    call(*SMALL, *named, "--model-backbone", "resnet50").check(2, "does not fit the network")
    call(*SMALL, *named).check(0, "mattingbase with mobilenetv2")


@pytest.mark.slow
def test_table_has_the_papers_rows(tmp_path: Path, call: Call, monkeypatch) -> None:
    presets = [(p.name, p.width, p.height, p.budget) for p in speed_table.PRESETS]
    assert presets == [("HD", 1920, 1080, HD), ("4K", 3840, 2160, UHD_4K)]
    small = Preset("HD", 64, 64, Budget(1 / 4, 512)), Preset("4K", 96, 64, Budget(1 / 8, 256))
    monkeypatch.setattr(speed_table, "PRESETS", small)
    out = tmp_path / "a.json"
    run = call("--table", "--iterations", 1, "--warm-up", 0, "--json", out)
    run.check(0, "RTX 2080 Ti", "resnet101: random weights")
    rows = read(out)["table"]
    shown = ("backbone", "preset", "published_frames_per_second", "published_gmac")
    assert [tuple(row[key] for key in shown) for row in rows] == PUBLISHED
    lines = [line for line in run.out.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 6
    assert len({line.count("|") for line in lines}) == 1, "a Markdown table"
    for row, line, (backbone, preset, rate, gmac) in zip(rows, lines[2:], PUBLISHED, strict=True):
        check_figures(row)
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[:2] == [backbone, preset]
        assert float(cells[3]) == pytest.approx(row["frames_per_second"], abs=0.006)
        assert (float(cells[4]), float(cells[6])) == (rate, gmac)
        assert row["backbone_scale"] == (1 / 4 if preset == "HD" else 1 / 8)
    assert rows[2]["gmac"] > rows[0]["gmac"] > rows[4]["gmac"]


@pytest.mark.slow
def test_plot_is_drawn_over_the_size(tmp_path: Path, call: Call, monkeypatch) -> None:
    assert list(speed_table.PLOTTED.values())[1:3] == [(1920, 1080), (3840, 2160)]
    monkeypatch.setattr(speed_table, "PLOTTED", {"small": (64, 64), "large": (128, 96)})
    out, plot = tmp_path / "a.json", tmp_path / "new" / "speed.png"
    call("--plot", plot, "--iterations", 1, "--json", out).check(0, "plot: .*speed.png")
    sizes = read(out)["plot"]["sizes"]
    assert [(f["width"], f["height"]) for f in sizes.values()] == [(64, 64), (128, 96)]
    with Image.open(plot) as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("L").getcolors()) > 10, "nothing is drawn"
    assert [path.name for path in plot.parent.iterdir()] == ["speed.png"]


def test_plot_without_matplotlib_says_what_to_install(tmp_path, call: Call, monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    call("--plot", tmp_path / "a.png").check(2, "matplotlib.*pip install matplotlib")
    assert list(tmp_path.iterdir()) == []


def test_end_to_end_passes_every_picture_and_leaves_nothing(
    tmp_path: Path, call: Call, photographs, monkeypatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    written, predicted = [], []
    write, predict = end_to_end.write_outputs, Predictor.predict

    def note_write(job, *matted) -> Iterator[str]:
        yield from write(job, *matted)
        written.append([(path.suffix, path.stat().st_size > 0) for path in job.outputs.values()])

    def note_predict(self, src, bgr, budget) -> object:
        predicted.append(src.shape)
        return predict(self, src, bgr, budget)

    monkeypatch.setattr(end_to_end, "write_outputs", note_write)
    monkeypatch.setattr(Predictor, "predict", note_predict)
    src, bgr = photographs.pair(tmp_path, "a.png", "b.jpg", "c.png")
    out = tmp_path / "a.json"
    pictures = ("--image-src", src, "--image-bgr", bgr, "--end-to-end", "--json", out)
    # Two are decoded and two encoded at the same time; a picture that comes again is the same file.
    run = call(*pictures, "--iterations", 3, "--num-workers", 2).check(0, "from files to files")
    rates = read(out)["end_to_end"]
    assert rates["frames"] == 3
    # Encoding alone, with decoding, and on the whole way; com and pha each time.
    assert written == [[(".png", True), (".png", True)]] * 9
    # The warm-up, alone, alone as many at a time as there are lanes, and on the whole way.
    alone = 2 if torch.get_num_threads() > 1 else 1
    assert predicted == [(64, 96, 3)] * (3 + 3 * alone + 3)
    bound = min(rates["compute"], rates["decode_encode"])
    assert rates["share_of_bound"] == pytest.approx(rates["frames_per_second"] / bound)
    assert 1 / rates["in_turn"] == pytest.approx(1 / rates["compute"] + 1 / rates["decode_encode"])
    gain = rates["frames_per_second"] / rates["in_turn"]
    assert rates["gain_over_in_turn"] == pytest.approx(gain)
    spent = rates["processor_seconds"]
    assert rates["most"] == pytest.approx(rates["cores"] / sum(spent.values()))
    assert all(seconds > 0 for seconds in spent.values())
    assert all(rates[name] > 0 for name in ("decode", "encode", "frames_per_second"))
    printed = float(re.search(r"files to files +([\d.]+)", run.out)[1])
    assert printed == pytest.approx(rates["frames_per_second"], abs=0.006)
    assert list(temporary.iterdir()) == []
    (src / "b.jpg").write_bytes(b"broken")
    call(*pictures, "--overwrite", "--num-workers", 0).check(2, "b.jpg: not a picture")
    assert list(temporary.iterdir()) == []
    assert read(out)["end_to_end"] == rates, "an error replaced the figures"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--resolution", 66, 63), "divisible by 4, got 66 63; the nearest is --resolution 64 64"),
        (("--resolution", -8, 64), "positive.*got -8 64; the nearest is --resolution 4 64"),
        (("--resolution", 0, 9, "--model-type", "mattingbase"), "nearest is --resolution 1 9"),
        ((*SMALL, "--model-backbone-scale", 0.01), "leaves 0 x 0 pixels of 64 x 64"),
        (("--iterations", 0), "iterations.*greater than or equal to 1, got 0"),
        (("--image-src", "a.png"), "--image-src was given without --image-bgr"),
        (("--image-src", "a.png", "--image-bgr", "a.png"), "are the same"),
        (("--end-to-end",), "take pictures, got none"),
        (("--preprocess-alignment",), "take pictures, got none"),
        (("--table", "--model-backbone", "resnet50"), "leave out --model-"),
        (("--plot", "a.jpg"), "writes PNG, got a.jpg; name it a.png"),
        (("--json", "."), "is a folder"),
        ((*SMALL, "--backend", "openvino", "--model-type", "mattingbase"), "needs a mattingrefine"),
    ],
)
def test_bad_settings_are_refused(call: Call, arguments: tuple, message: str) -> None:
    call(*arguments).check(2, message)


def test_a_file_is_not_replaced_unless_told(tmp_path: Path, call: Call) -> None:
    out = tmp_path / "precious.json"
    out.write_text("{}")
    call(*SMALL, "--json", out).check(2, "precious.json exists already.*--overwrite")
    assert out.read_text() == "{}"
    call(*SMALL, "--json", out, "--overwrite").check(0)
    check_figures(read(out)["speed"])


def test_printed_settings_are_those_of_the_file(tmp_path: Path, call: Call) -> None:
    run = call(*SMALL, "--model-refine-mode", "full", "--print-config").check(0)
    (tmp_path / "a.yaml").write_text(run.out, encoding="utf-8")
    again = call("--config", tmp_path / "a.yaml", "--print-config").check(0)
    assert again.out == run.out
    assert "refine_mode: full" in run.out
