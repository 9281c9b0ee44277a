"""assay.catalog.v1.FileService."""

import functools

from google.api.httpbody_pb2 import HttpBody

from assay.catalog.v1 import files_pb2 as pb, files_pb2_grpc
from services.catalog.convert import files as convert
from services.catalog.operations.files import Files
from services.catalog.servicers.answering import creation
from services.catalog.store import files as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context


class FileServicer(files_pb2_grpc.FileServiceServicer):
    """Files of the caller's workspace. `public_url`: where the gateway is reached."""

    def __init__(self, files: Files, public_url: str) -> None:
        self._files, self._public_url = files, public_url

    async def UploadFile(self, request: pb.UploadFileRequest, context: Context) -> pb.UploadFileResponse:
        upload = convert.upload(request.file)
        pack = functools.partial(convert.message, public_url=self._public_url)
        answering = creation(context, request, pb.UploadFileResponse, pack, upload.content)
        return await self._files.upload(workspace(), upload, answering)

    async def GetFile(self, request: pb.GetFileRequest, context: Context) -> HttpBody:
        async with self._files.database.connection() as sql:
            file, content = await store.get(sql, workspace(), parse_id(request.file_id, store.KIND))
        await context.send_initial_metadata(convert.attachment(file))
        return HttpBody(content_type=file.mime_type, data=content)
