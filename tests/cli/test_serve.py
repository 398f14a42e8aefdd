import http.client
import json
import threading

import pytest

from hydrometer.cli import serve
from hydrometer.types import HydrometerError


@pytest.fixture
def address(tmp_path):
    (tmp_path / "index.html").write_text("<p>a report")
    (tmp_path / "rows").mkdir()
    with serve.server(tmp_path, 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_address
        running.shutdown()
        thread.join()


def ask(address, path, host=None):
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_the_report_is_served_on_this_machine_alone(address):
    assert address[0] == "127.0.0.1"
    assert ask(address, "/") == (200, "<p>a report")


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/rows/", None, 404),
        ("/../../etc/passwd", None, 404),
        ("/", "evil.example", 403),
        ("/", "localhost:8000", 200),
    ],
)
def test_nothing_else_is_handed_out(address, path, host, status):
    assert ask(address, path, host)[0] == status


def test_a_taken_port_and_a_folder_without_a_report_are_said(address, tmp_path):
    with pytest.raises(HydrometerError, match="choose another with --port"):
        serve.server(tmp_path, address[1])
    with pytest.raises(HydrometerError, match="hydrometer report --out"):
        serve.server(tmp_path / "rows", 0)


def test_the_command_says_where_and_how_to_end(monkeypatch, succeed, tmp_path):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(serve.ThreadingHTTPServer, "serve_forever", stop)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("x")
    out, err = succeed("serve", "--port", "0")
    assert out.startswith("http://127.0.0.1:") and err == "stopped\n"
    told = json.loads(succeed("serve", "--port", "0", "--json")[0])
    assert told["address"].startswith("http://127.0.0.1:")
