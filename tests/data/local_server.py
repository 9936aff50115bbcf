"""A web server on this machine, for tests of downloading."""

from collections.abc import Mapping
import contextlib
import http.server
import os
import threading
from typing import NamedTuple
from unittest import mock


class Answer(NamedTuple):
  """What the server says at one path.

  Attributes:
    body: the bytes it sends.
    length: the Content-Length it claims; None for none at all.
    status: the HTTP status.
  """

  body: bytes
  length: int | None
  status: int = 200


def whole(body: bytes) -> Answer:
  """An answer that is as long as it says."""
  return Answer(body, len(body))


@contextlib.contextmanager
def serve(answers: Mapping[str, Answer]):
  """Serves the answers by path; gives the address and the list of requests."""
  requests = []

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      requests.append(self.path)
      answer = answers.get(self.path, Answer(b'', 0, 404))
      self.send_response(answer.status)
      if answer.length is not None:
        self.send_header('Content-Length', str(answer.length))
      self.end_headers()
      self.wfile.write(answer.body)

    def log_message(self, *args):
      del args

  with (
    http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server,
    mock.patch.dict(os.environ, {'no_proxy': '127.0.0.1'}),
  ):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
      yield f'http://127.0.0.1:{server.server_address[1]}', requests
    finally:
      server.shutdown()
      thread.join()
