"""Writes the OpenAPI document and the page that shows it into a folder.

python -m gateway.openapi --descriptor gen/assay.pb --out gen
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2

from gateway.openapi.document import document
from gateway.routed import read_descriptor

PAGE = Path(__file__).parent / "docs.html"


def text_of(descriptor: descriptor_pb2.FileDescriptorSet) -> str:
    """The document as it is served."""
    return json.dumps(document(descriptor), ensure_ascii=False, separators=(",", ":"))


def write(descriptor: Path, folder: Path) -> list[Path]:
    """Writes openapi.json and docs.html. Raises OSError, or ValueError for a path that belongs to no family."""
    files = {"openapi.json": text_of(read_descriptor(descriptor)), "docs.html": PAGE.read_text()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return [folder / name for name in files]


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="gateway.openapi", description="Writes openapi.json and docs.html.")
    parser.add_argument("--descriptor", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    given = parser.parse_args(arguments)
    for path in write(given.descriptor, given.out):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
