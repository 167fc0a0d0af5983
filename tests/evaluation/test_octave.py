"""The metrics against the field's definitions in its own language, run by Octave."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from evaluation.metrics import map_alpha_errors, map_change_error, reduce_error
from tests.evaluation.test_metrics import alphas

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("octave-cli") is None, reason="Octave (the program octave-cli) is missing"
    ),
]

# The definitions, in single precision where the field computes so. Alphas are whole numbers up to
# 255, and reach both ends: the field stretches them to 0 to 1 before it takes gradients.
PROGRAM = """
1;
function g = gauss(x, s)
  g = exp(-x^2 / (2 * s^2)) / (s * sqrt(2 * pi));
end
function [gx, gy] = derivatives(a, s)
  half = ceil(s * sqrt(-2 * log(sqrt(2 * pi) * s * 1e-2)));
  h = zeros(2 * half + 1);
  for i = -half:half
    for j = -half:half
      h(i + half + 1, j + half + 1) = gauss(i, s) * -j * gauss(j, s) / s^2;
    end
  end
  h = h / sqrt(sum(sum(h .* h)));
  [m, n] = size(a);
  rows = min(max((1 - half):(m + half), 1), m);
  columns = min(max((1 - half):(n + half), 1), n);
  gx = conv2(a(rows, columns), h, 'valid');
  gy = conv2(a(rows, columns), h', 'valid');
end
function largest = largest_component(mask)
  [m, n] = size(mask);
  label = zeros(m, n);
  largest = false(m, n);
  best = 0;
  next = 0;
  for start = find(mask(:))'
    if label(start), continue; end
    next = next + 1;
    label(start) = next;
    stack = start;
    count = 0;
    while ~isempty(stack)
      p = stack(end);
      stack(end) = [];
      count = count + 1;
      [i, j] = ind2sub([m, n], p);
      for step = [-1 1 0 0; 0 0 -1 1]
        y = i + step(1);
        x = j + step(2);
        if y >= 1 && y <= m && x >= 1 && x <= n && mask(y, x) && ~label(y, x)
          label(y, x) = next;
          stack(end + 1) = sub2ind([m, n], y, x);
        end
      end
    end
    if count > best
      best = count;
      largest = label == next;
    end
  end
end
function loss = connectivity(pred, true_, unknown)
  pred = single(pred) / 255;
  true_ = single(true_) / 255;
  steps = 0:0.1:1;
  level = -ones(size(pred));
  for k = 2:numel(steps)
    subject = largest_component(pred >= single(steps(k)) & true_ >= single(steps(k)));
    level(level == -1 & ~subject) = steps(k - 1);
  end
  level(level == -1) = 1;
  pred_d = pred - level;
  true_d = true_ - level;
  difference = abs(pred_d .* (pred_d >= 0.15) - true_d .* (true_d >= 0.15));
  loss = sum(double(difference(unknown))) / 1000;
end
pred = load('pred.txt');
true_ = load('true.txt');
unknown = load('unknown.txt') == 128;
difference = (pred - true_) / 255;
[px, py] = derivatives(pred / 255, 1.4);
[tx, ty] = derivatives(true_ / 255, 1.4);
gradient = (sqrt(px.^2 + py.^2) - sqrt(tx.^2 + ty.^2)).^2;
change = ((pred - load('pred_before.txt')) - (true_ - load('true_before.txt'))) / 255;
printf('mad %.12g\\n', mean(abs(difference(unknown))));
printf('mse %.12g\\n', mean(difference(unknown).^2));
printf('sad %.12g\\n', sum(abs(difference(unknown))) / 1000);
printf('grad %.12g\\n', sum(gradient(unknown)) / 1000);
printf('conn %.12g\\n', connectivity(pred, true_, unknown));
printf('dtssd %.12g\\n', 100 * sqrt(mean(change(unknown).^2)));
"""


@pytest.mark.parametrize("seed", range(3))
def test_every_metric_equals_octaves(tmp_path: Path, seed: int) -> None:
    pred, true = alphas(seed, 61, 83)
    assert {pred.min(), true.min(), pred.max(), true.max()} == {0, 1}
    pred_before, true_before = alphas(seed + 100, 61, 83)
    unknown = np.random.default_rng(seed).random(true.shape) < 0.7
    pictures = {"pred": pred * 255, "true": true * 255, "unknown": unknown * 128}
    pictures |= {"pred_before": pred_before * 255, "true_before": true_before * 255}
    for name, picture in pictures.items():
        np.savetxt(tmp_path / f"{name}.txt", np.round(picture), fmt="%d")
    (tmp_path / "program.m").write_text(PROGRAM)
    command = ["octave-cli", "--norc", "--quiet", "program.m"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    wanted = {name: float(value) for name, value in map(str.split, run.stdout.splitlines())}
    maps = map_alpha_errors(pred, true)
    maps["dtssd"] = map_change_error(pred, pred_before, true, true_before)
    assert wanted.keys() == maps.keys()
    for name, errors in maps.items():
        # Conn is in single precision there.
        tolerance = 1e-5 if name == "conn" else 1e-9
        found = reduce_error(name, errors, unknown)
        assert found == pytest.approx(wanted[name], rel=tolerance), name
