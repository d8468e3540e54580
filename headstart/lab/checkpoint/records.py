"""JSON records: each names its format and ends in a checksum of itself.

The checksum is the SHA-256 of all bytes before it, so that one changed byte is detected.
"""

import hashlib
import json
import pathlib
from typing import Any

from headstart.core.errors import InputError
from headstart.lab.checkpoint.files import jsonable, parse_json, read, write

CHECKSUM = "checksum"
END = '"\n}\n'  # of a record, after the hexadecimal checksum
LENGTH = 64 + len(END)  # bytes of the checksum and of END


def write_record(path: pathlib.Path, form: str, data: dict[str, Any]) -> str:
    """Writes data as a record of the format `form`, with null for NaN. Returns its checksum."""
    told = {"format": form, **{name: x for name, x in jsonable(data).items() if name not in ("format", CHECKSUM)}}
    body = json.dumps({**told, CHECKSUM: ""}, indent=1, allow_nan=False).removesuffix('"\n}').encode()
    checksum = hashlib.sha256(body).hexdigest()
    write(path, body + (checksum + END).encode())
    return checksum


def read_record(path: pathlib.Path, form: str, mend: str) -> dict[str, Any]:
    """Returns a record's data, including its checksum.

    Raises InputError, which ends in `mend`, if the file is missing, damaged or of another format.
    """
    data = read(path)
    whole = data[-LENGTH:] == (hashlib.sha256(data[:-LENGTH]).hexdigest() + END).encode()
    found = parse_json(path, data, mend)
    if not isinstance(found, dict) or found.get("format") != form:
        held = str(found.get("format")) if isinstance(found, dict) else "none"
        told = f", but the file's is {held!r}" if held.startswith("headstart ") else ""
        raise InputError(f"{path} is not a record of this version of headstart (format {form!r}{told}); {mend}.")
    if not whole:
        raise InputError(f"{path} is damaged: its content does not match its checksum; {mend}.")
    return {name: x for name, x in found.items() if name != "format"}
