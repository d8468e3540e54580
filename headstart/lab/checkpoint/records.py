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


def write_record(path: pathlib.Path, record_format: str, data: dict[str, Any]) -> str:
    """Writes data as a record of the format `record_format`, with null for NaN. Returns its checksum."""
    content = {name: x for name, x in jsonable(data).items() if name not in ("format", CHECKSUM)}
    body = (
        json.dumps({"format": record_format, **content, CHECKSUM: ""}, indent=1, allow_nan=False)
        .removesuffix('"\n}')
        .encode()
    )
    checksum = hashlib.sha256(body).hexdigest()
    write(path, body + (checksum + END).encode())
    return checksum


def read_record(path: pathlib.Path, record_format: str, remedy: str) -> dict[str, Any]:
    """Returns a record's data, including its checksum.

    Raises InputError, which ends in `remedy`, if the file is missing, damaged or of another format.
    """
    data = read(path)
    intact = data[-LENGTH:] == (hashlib.sha256(data[:-LENGTH]).hexdigest() + END).encode()
    record = parse_json(path, data, remedy)
    if not isinstance(record, dict) or record.get("format") != record_format:
        file_format = str(record.get("format")) if isinstance(record, dict) else "none"
        format_note = f", but the file's is {file_format!r}" if file_format.startswith("headstart ") else ""
        raise InputError(
            f"{path} is not a record of this version of headstart (format {record_format!r}{format_note}); {remedy}."
        )
    if not intact:
        raise InputError(f"{path} is damaged: its content does not match its checksum; {remedy}.")
    return {name: x for name, x in record.items() if name != "format"}
