"""File → message."""

from google.api.httpbody_pb2 import HttpBody

from assay.catalog.v1 import files_pb2 as pb
from services.catalog import file_types, multipart
from services.catalog.entities.files import File, file_url

Headers = tuple[tuple[str, str], ...]


def upload(body: HttpBody) -> multipart.Upload:
    """The file that was sent. Raises Invalid or TooLarge."""
    return multipart.read(body.content_type, body.data)


def message(file: File, public_url: str) -> pb.UploadFileResponse:
    """Where it is found."""
    return pb.UploadFileResponse(
        file_url=file_url(public_url, file.id),
        file_mime_type=file.mime_type,
        size_bytes=file.size_bytes,
        sha256=file.sha256.hex(),
    )


def attachment(file: File) -> Headers:
    """What a browser is told of a file that somebody uploaded: save it, and don't guess what it is."""
    return download(f"{file.id}.{file_types.EXTENSIONS[file.mime_type]}")


def download(filename: str) -> Headers:
    """The headers of an attachment."""
    return (("content-disposition", f'attachment; filename="{filename}"'), ("x-content-type-options", "nosniff"))
