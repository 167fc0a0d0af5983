"""What the pages tell a reader to type: shell commands and Python blocks, found by one convention.

A fenced `bash` block holds commands, a line each (a backslash goes on with the next line). So does
code in a line that begins with a program of `PROGRAMS`. Below a command a table `| to | add |` has
flags to add to it, each code span of its own. Fenced `python` blocks are run. `text` and `yaml`
blocks, and `powershell` ones (Windows' words for what stands in bash above), are not commands.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *(ROOT / name for name in ("weights/README.md", "demo/CREDITS.md")),
        *(ROOT / "docs").glob("*.md"),
    ]
)
LANGUAGES = {"bash", "python", "text", "yaml", "powershell", "bibtex"}
PROGRAMS = ("matting ", "python ", "torchrun ", "OMP_NUM_THREADS=")


@dataclass(frozen=True)
class Block:
    """Commands that are run one after the other, or a page's lines of Python.

    Attributes:
        page: path from the project's root.
        line: of the page, from 1.
        commands: as a reader types them, or one text of Python.
        language: `bash` or `python`.
    """

    page: str
    line: int
    commands: tuple[str, ...]
    language: str = "bash"

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def read_blocks(path: Path, text: str | None = None) -> list[Block]:
    """Finds all commands of a page.

    Raises ValueError for a fence of no known language, or flags to add below no command.
    """
    page = path.relative_to(ROOT).as_posix()
    blocks: list[Block] = []
    lines = enumerate((text or path.read_text("utf-8")).splitlines(), 1)
    base, adding = "", False
    for number, line in lines:
        if re.match(rf"\s*~~~|    ({'|'.join(PROGRAMS)})", line):
            raise ValueError(f"{page}:{number}: commands stand in blocks of ```")
        if line.lstrip().startswith("```"):
            language = line.strip().removeprefix("```")
            if language not in LANGUAGES:
                raise ValueError(f"{page}:{number}: a block of {language or 'no language'}")
            inside = []
            for _, row in lines:
                if row.strip() == "```":
                    break
                inside.append(row)
            if language in ("bash", "python"):
                blocks.append(Block(page, number, _split(language, inside), language))
                base = blocks[-1].commands[-1] if language == "bash" else base
            continue
        adding = line.startswith("|") and (adding or line.startswith("| to | add |"))
        spans = re.findall(r"`([^`]+)`", line.replace(r"\|", "|"))
        if adding:
            flags = re.findall(r"`(-[^`]+)`", line.strip("| ").split(" | ")[-1])
            if flags and not base:
                raise ValueError(f"{page}:{number}: flags to add, and no command before")
            blocks += [Block(page, number, (complete(base, flag),)) for flag in flags]
        blocks += [Block(page, number, (span,)) for span in spans if is_command(span)]
    return blocks


def is_command(span: str) -> bool:
    """Whether code in a line is a command: a program with flags; without it is a name."""
    return span.startswith(PROGRAMS) and " -" in span


def complete(command: str, flags: str) -> str:
    """Adds flags to a command, in place of those of the same name."""
    words, added = shlex.split(command, comments=True), shlex.split(flags)
    kept: list[str] = []
    dropping = False
    for word in words:
        if word.startswith("--"):
            dropping = word in added
        if not dropping:
            kept.append(word)
    return shlex.join([*kept, *added])


def _split(language: str, lines: list[str]) -> tuple[str, ...]:
    """Splits a block of shell into commands; Python stays one text."""
    text = "\n".join(lines)
    if language == "python":
        return (text,)
    commands = text.replace("\\\n", " ").splitlines()
    return tuple(
        re.sub(r"\s+", " ", command).strip()
        for command in commands
        if command.strip() and not command.lstrip().startswith("#")
    )
