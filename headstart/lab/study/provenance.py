"""Records where a result comes from: versions, commit, command, machine, date."""

import datetime
import os
import pathlib
import platform
import subprocess
from typing import Any

import jax

from headstart.lab.checkpoint.recipe import versions


def provenance(command: str) -> dict[str, Any]:
    """Returns what is needed to reproduce a result."""
    return {
        "versions": versions(),
        "commit": commit(),
        "command": command,
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "devices": [device.device_kind for device in jax.devices()],
        },
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def commit() -> str | None:
    """Returns the commit of headstart's checkout (with `+` if it has changes), or None without a checkout."""
    here = pathlib.Path(__file__).parent
    try:
        git = lambda *args: subprocess.run(["git", *args], cwd=here, capture_output=True, text=True, check=True).stdout
        # an installed copy may lie in another repository, which does not track this file
        git("ls-files", "--error-unmatch", pathlib.Path(__file__).name)
        return git("rev-parse", "--short", "HEAD").strip() + ("+" if git("status", "--porcelain", "-uno", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
