"""What headstart writes as JSON and reads back: each record names its format and ends in a checksum of itself.

The last line but one is the SHA-256 of all bytes before it, so that one changed byte is noticed.
"""

import hashlib
import json
import pathlib
from typing import Any

from headstart.core.errors import InputError
from headstart.lab.checkpoint.files import parse_json, plain, read, write

CHECKSUM = "checksum"
END = '"\n}\n'  # of a record, after the digits of its checksum
LENGTH = 64 + len(END)  # of the checksum and what follows


def write_record(path: pathlib.Path, form: str, data: dict[str, Any]) -> str:
    """Writes plain data, NaN as null, as a record of the format `form`; returns its checksum."""
    told = {"format": form, **{name: x for name, x in plain(data).items() if name not in ("format", CHECKSUM)}}
    body = json.dumps({**told, CHECKSUM: ""}, indent=1, allow_nan=False).removesuffix('"\n}').encode()
    checksum = hashlib.sha256(body).hexdigest()
    write(path, body + (checksum + END).encode())
    return checksum


def read_record(path: pathlib.Path, form: str, mend: str) -> dict[str, Any]:
    """Returns a record's data, its checksum among them.

    Raises InputError, which ends in `mend`, where the file is missing, damaged or of another format.
    """
    data = read(path)
    whole = data[-LENGTH:] == (hashlib.sha256(data[:-LENGTH]).hexdigest() + END).encode()
    found = parse_json(path, data, mend)
    if not isinstance(found, dict) or found.get("format") != form:
        held = str(found.get("format")) if isinstance(found, dict) else "none"
        told = f", but the file's is {held!r}" if held.startswith("headstart ") else ""
        raise InputError(f"{path} is no record of this version of headstart (format {form!r}{told}); {mend}.")
    if not whole:
        raise InputError(f"{path} is damaged: its content is not what its checksum says; {mend}.")
    return {name: x for name, x in found.items() if name != "format"}
