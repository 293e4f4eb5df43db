"""A Dockerfile's steps without a container engine: its first stage is carried out by hand, within a folder."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.command import CHECKOUT

FILE: Final = CHECKOUT / "deploy" / "container" / "Dockerfile"
_STEP_S: Final = 900


@dataclass(frozen=True)
class Step:
    """One instruction, its continued lines joined."""

    name: str
    arguments: str

    @property
    def words(self) -> list[str]:
        """Of the exec form, its strings; else as a shell would split it."""
        listed: list[str] = (
            json.loads(self.arguments) if self.arguments.startswith("[") else shlex.split(self.arguments)
        )
        return listed


def stages() -> list[list[Step]]:
    """The steps of each stage, FROM first; what stands before them is left out."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", "", "\n".join(lines))
    steps = [Step(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]
    begins = [number for number, step in enumerate(steps) if step.name == "FROM"]
    return [steps[begin:end] for begin, end in zip(begins, [*begins[1:], None], strict=True)]


def only(stage: list[Step], name: str) -> Step:
    """The stage's one instruction of that name."""
    (step,) = [step for step in stage if step.name == name]
    return step


def environment(stage: list[Step], root: Path) -> dict[str, str]:
    """What ENV sets, on top of a bare PATH."""
    environ = {"PATH": os.defpath}
    for step in stage:
        if step.name == "ENV":
            for pair in step.words:
                name, value = pair.split("=", 1)
                environ[name] = _within(value, root).replace("$PATH", environ["PATH"])
    return environ


def build(root: Path) -> None:
    """Carry out the first stage, with `root` in the place of /opt, /src and /var. CalledProcessError."""
    stage = stages()[0]
    python = root / "python"
    python.mkdir()
    (python / "python").symlink_to(os.path.realpath(sys.executable))
    environ = environment(stage, root)
    # As the image has it: `python` is on the PATH. The machine's own way to the package index stays.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RECEIVER_", "PYTHON"))}
    environ = inherited | environ | {"PATH": f"{python}:{environ['PATH']}"}
    folder = Path(_within(only(stage, "WORKDIR").arguments, root))
    folder.mkdir()
    for step in stage:
        if step.name == "COPY":
            *sources, target = step.words
            for source in sources:
                _copy(CHECKOUT / source, folder / target, into=target.endswith("/"))
        elif step.name == "RUN":
            command = ["/bin/sh", "-ec", _within(step.arguments, root)]
            subprocess.run(command, cwd=folder, env=environ, check=True, timeout=_STEP_S)


def _within(text: str, root: Path) -> str:
    return re.sub(r"(?<![\w.])/(opt|src|var)(?=/|\b)", rf"{root}/\1", text)


def _copy(source: Path, target: Path, *, into: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        return
    place = target / source.name if into else target
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, place)
