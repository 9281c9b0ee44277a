"""Generates the Python stubs and the gateway's descriptor set from protos/: `python -m deploy.local.protos`.

`gen/` is not committed: stubs check the version of grpcio that they were made with. Typed stubs (.pyi) are made
too where mypy-protobuf is installed.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.local import binaries

PROTOS = binaries.ROOT / "protos"
GEN = binaries.ROOT / "gen"
DESCRIPTORS = GEN / "assay.pb"
# The gateway prints a rich error only where the details' types are in its descriptor set.
ALWAYS_DESCRIBED = ("google/rpc/error_details.proto",)


class ProtocFailedError(RuntimeError):
    """protoc refused; the message is its own."""


def sources() -> list[Path]:
    """Every proto of ours."""
    return sorted((PROTOS / "assay").rglob("*.proto"))


def generate() -> bool:
    """Brings gen/ up to date. Returns whether anything had to be done. Raises ProtocFailedError."""
    GEN.mkdir(exist_ok=True)
    stamp = GEN / ".stamp"
    with (GEN / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = _fingerprint()
        if stamp.is_file() and stamp.read_text() == wanted and DESCRIPTORS.is_file():
            return False
        with tempfile.TemporaryDirectory(dir=GEN, prefix=".new-") as folder:
            _generate_into(Path(folder))
            _swap(Path(folder))
        stamp.write_text(wanted)
    return True


def _fingerprint() -> str:
    digest = hashlib.sha256(f"{importlib.metadata.version('grpcio-tools')} {_typed()}".encode())
    for source in sources():
        digest.update(f"{source.relative_to(PROTOS)}\n".encode() + source.read_bytes())
    return digest.hexdigest()


def _typed() -> bool:
    return importlib.util.find_spec("mypy_protobuf") is not None


def _generate_into(folder: Path) -> None:
    ours = [str(source.relative_to(PROTOS)) for source in sources()]
    python = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    typed = [f"--mypy_out=quiet:{folder}", f"--mypy_grpc_out=quiet:{folder}"] if _typed() else []
    _protoc([*python, *typed, *ours])
    compile_descriptors(folder / DESCRIPTORS.name, ours)
    (folder / "assay" / "py.typed").touch()


def compile_descriptors(out: Path, protos: Sequence[str], folders: Sequence[Path] = ()) -> None:
    """Writes a descriptor set with comments, of these protos and all that they import. Raises ProtocFailedError."""
    _protoc([f"--descriptor_set_out={out}", "--include_imports", "--include_source_info", *protos, *ALWAYS_DESCRIBED], folders)


def _protoc(arguments: Sequence[str], folders: Sequence[Path] = ()) -> None:
    wheels = Path(str(importlib.metadata.distribution("googleapis-common-protos").locate_file("")))
    bundled = Path(str(importlib.metadata.distribution("grpcio-tools").locate_file("grpc_tools/_proto")))
    includes = [f"--proto_path={path}" for path in (PROTOS, *folders, bundled, wheels)]
    plugins = [
        f"--plugin={name}={binaries.script(name)}"
        for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
        if Path(binaries.script(name)).exists()
    ]
    command = [sys.executable, "-m", "grpc_tools.protoc", *includes, *plugins, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProtocFailedError(done.stderr.strip())


def _swap(folder: Path) -> None:
    """Puts the new files in the old ones' place, so that a reader never meets half of them for longer than two renames."""
    old = folder / "old"
    if (GEN / "assay").exists():
        (GEN / "assay").rename(old)
    (folder / "assay").rename(GEN / "assay")
    (folder / DESCRIPTORS.name).replace(DESCRIPTORS)
    shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    """Generates, and says so."""
    try:
        print("Stubs and descriptor set made in gen/." if generate() else "gen/ is up to date.")
    except ProtocFailedError as error:
        sys.exit(f"protoc: {error}")


if __name__ == "__main__":
    main()
