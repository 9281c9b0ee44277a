"""TLS in front of a Postgres that was built without it, as a connection pooler puts it there."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator

from shared.tls import Files

SSL_REQUEST = bytes.fromhex("0000000804d2162f")


@contextlib.contextmanager
def in_front_of(port: int, files: Files) -> Iterator[int]:
    """The loopback port at which Postgres's protocol is spoken over TLS alone, and handed on in plaintext."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)

    class Terminator(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if self.request.recv(len(SSL_REQUEST), socket.MSG_WAITALL) != SSL_REQUEST:
                return  # plaintext: refused
            self.request.sendall(b"S")
            with contextlib.suppress(OSError):
                self.join(context.wrap_socket(self.request, server_side=True))

        @staticmethod
        def join(secured: socket.socket) -> None:
            with secured as client, socket.create_connection(("127.0.0.1", port)) as behind:
                back = threading.Thread(target=_pump, args=[behind, client])
                back.start()
                _pump(client, behind)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Terminator) as server:
        threading.Thread(target=server.serve_forever, args=[0.05]).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
