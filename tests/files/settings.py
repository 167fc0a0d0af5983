"""Settings files of inference_images.py. A new surprise of YAML is one row."""

from collections.abc import Callable
from pathlib import Path

from .rows import Row


def text(content: str | bytes) -> Callable[[Path], object]:
    """Writes a text in UTF-8, or bytes."""
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def refused(name: str, content: str | bytes, says: str) -> Row:
    """A file that ends in one error which names it."""
    return Row(f"{name}.yaml", text(content), code=2, says=says)


def laughs(levels: int) -> str:
    """Aliases of aliases, which would expand to ten to the power of `levels`."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        before = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{before}]")
    return "\n".join(lines)


KEYS = "".join(f"key_{number}: 1\n" for number in range(50_000))

ROWS = [
    Row("plain.yaml", text("model: {refine_threshold: 5e-2}\nquality: auto\n")),
    Row("empty.yaml", text("")),
    Row("comment.yaml", text("# nothing\n")),
    Row("mark.yaml", text(b"\xef\xbb\xbfquality: auto\n"), why="UTF-8 as Windows writes it"),
    Row("windows.yaml", text("quality: auto\r\nmodel:\r\n  refine_threshold: .5\r\n")),
    Row("underscores.yaml", text("model: {refine_sample_pixels: 80_000}")),
    # What grows beyond its file.
    refused("laughs", laughs(9), "anchors and aliases.*'a0' \\(line 1\\)"),
    refused("anchor", "quality: &q auto", "anchors and aliases.*'q'"),
    refused("alias", "quality: *q", "anchors and aliases.*'q'"),
    refused("deep_flow", "model: " + "[" * 20_000, "more than 20 levels"),
    refused("deep_block", "\n".join(" " * i + "a:" for i in range(1_000)), "more than 20 levels"),
    refused("deep_items", "- " * 20_000, "more than 20 levels"),
    refused("keys", KEYS, "more than 10000 values"),
    refused("large", "#" * (1 << 20) + "\nquality: auto", "larger than 1024 KiB"),
    refused("long", f"quality: {'x' * 500_000}", "key 'quality'.*xxx\\.\\.\\."),
    # What is more than names, texts, numbers and lists.
    refused(
        "object",
        "model: !!python/object/apply:os.system [ls]",
        "tags, bytes and objects are not supported.*system",
    ),
    refused(
        "binary", "images: {src: !!binary aGVsbG8=}", "tags, bytes and objects are not supported"
    ),
    refused("set", "model: !!set {a, b}", "tags, bytes and objects are not supported"),
    refused("merge", "model: {<<: {type: mattingbase}}", "merge keys \\(<<\\) are not supported"),
    refused("documents", "quality: auto\n---\nquality: hd", "single document.*line 2"),
    refused("key_list", "[a, b]: 1", "a key must be a name"),
    refused("twice", "quality: hd\nquality: hd", "key 'quality' is given twice \\(line 2\\)"),
    # Numbers.
    refused("inf", "model: {refine_threshold: .inf}", "key 'model.refine_threshold'.*finite"),
    refused("nan", "model: {refine_threshold: .nan}", "key 'model.refine_threshold'.*finite"),
    refused("overflow", "model: {refine_threshold: 1e400}", "key 'model.refine_threshold'.*finite"),
    refused("minutes", "compute: {num_workers: 1:30}", "key 'compute.num_workers'.*'1:30'"),
    refused("octal", "compute: {num_workers: 010}", "key 'compute.num_workers'.*'010'"),
    refused(
        "date", "compute: {num_workers: 2024-01-31}", "key 'compute.num_workers'.*'2024-01-31'"
    ),
    refused("huge", f"compute: {{num_workers: {'9' * 5000}}}", "integers must be at most.*line 1"),
    refused("large_number", f"compute: {{num_workers: {'9' * 17}}}", "integers must be at most"),
    refused("fraction", "compute: {num_workers: 1.0}", "key 'compute.num_workers'.*integer"),
    refused("truth", "compute: {num_workers: yes}", "key 'compute.num_workers'.*got True"),
    # Values of another kind.
    refused("unknown", "qualty: hd", "unknown key 'qualty'; perhaps you meant 'quality'"),
    refused("list", "quality: [hd]", "key 'quality'.*got \\['hd'\\]"),
    refused("mapping", "quality: {a: 1}", "key 'quality'.*got {'a': 1}"),
    refused("null_group", "model:", "key 'model' must map names to values, got None"),
    refused("top_list", "- quality: hd", "the file must map names to values"),
    refused("empty_text", "images: {src: ''}", "key 'images.src' is an empty string"),
    refused("surrogate", 'target_bgr: "\\ud800"', "is not valid text"),
    # No YAML.
    refused("nul", b"quality: \x00", "not YAML.*#x0000"),
    refused("utf16", "quality: hd".encode("utf-16"), "not UTF-8 text, byte 0"),
    refused("latin1", "target_bgr: grün".encode("latin-1"), "not UTF-8 text, byte 14"),
    refused("tab", "model:\n\ttype: mattingbase", "found character.*line 2"),
    refused("open", "model: {type: mattingbase", "not YAML.*line 1"),
    refused("picture", b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8 text"),
    Row("folder.yaml", Path.mkdir, code=2, says="not a regular file"),
    Row("missing.yaml", lambda path: None, code=2, says="can't be read"),
]
