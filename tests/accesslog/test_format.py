from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trioproxy.accesslog.format import DEFAULTS, compile_format, compile_value
from trioproxy.accesslog.origin import Origin
from trioproxy.accesslog.record import Record

Asking = Callable[..., Record]


def test_envoys_default_line(record: Record) -> None:
    assert compile_format("text")(record) == (
        b'[2023-11-14T22:13:20.123Z] "GET /v1/thing?x=1 HTTP/1.1" 200 - 7 12 15 11 "-" "curl/8" '
        b'"-" "example.org" "127.0.0.1:8080"\n'
    )


def test_a_connection_of_bytes_in_the_default_line() -> None:
    record = Record(0.25, 1.0)
    record.ended, record.bytes_received, record.bytes_sent, record.flags = 3.0, 5, 6, "UF"
    assert compile_format("text")(record) == (
        b'[1970-01-01T00:00:00.250Z] "- - -" 0 UF 5 6 2000 - "-" "-" "-" "-" "-"\n'
    )


def test_default_json_keeps_types(record: Record) -> None:
    logged = json.loads(compile_format("json")(record))
    assert logged["response_code"] == 200
    assert logged["duration"] == 15
    assert logged["path"] == "/v1/thing?x=1"
    assert logged["x_forwarded_for"] is None
    assert logged.keys() == DEFAULTS["json"].keys()  # type: ignore[union-attr]


def test_json_of_any_shape(record: Record) -> None:
    form = {
        "who": {"agent": "%REQ(USER-AGENT)%", "from": ["%DOWNSTREAM_REMOTE_PORT%", "%WORKER%"]},
        "mixed 100%": "%PROTOCOL% %REQ(X-NONE)% 100%% %RESPONSE_CODE%",
        "fixed": "50%%",
        "version": 2,
        "up": True,
        "none": None,
    }
    line = compile_format(form, Origin(worker=1))(record)
    assert line.endswith(b"}\n")
    assert json.loads(line) == {
        "who": {"agent": "curl/8", "from": [50000, 1]},
        "mixed 100%": "HTTP/1.1 - 100% 200",
        "fixed": "50%",
        "version": 2,
        "up": True,
        "none": None,
    }


def test_a_text_of_ones_own_is_a_whole_line_with_literals_untouched(record: Record) -> None:
    line = compile_format('100%%\t"é" %PROTOCOL% \\ %REQ(USER-AGENT):4%')
    assert line(record) == '100%\t"é" HTTP/1.1 \\ curl\n'.encode()


@pytest.mark.parametrize("text", ["50% done", "%protocol%", "%REQ(a", "%", "%PROTOCOL"])
def test_a_stray_percent_sign_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no operator at '%"):
        compile_format(text)


@pytest.mark.parametrize("form", [{"a": "%NOPE%"}, {"a": [{"b": "x %NOPE% y"}]}, "%NOPE%"])
def test_an_unknown_operator_is_refused_by_name(form: str) -> None:
    with pytest.raises(ValueError, match="unknown operator %NOPE%"):
        compile_format(form)


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        (b'" 200 "', rb"\" 200 \""),
        (b"a\\", rb"a\\"),
        (b"\r\n[2023]", rb"\r\n[2023]"),
        (b"\x1b[31m\x00\x7f\t", rb"\x1b[31m\x00\x7f\t"),
        (b"\xc3\xa9", rb"\xc3\xa9"),
    ],
)
def test_what_a_client_sends_cannot_leave_its_quotes(
    asking: Asking, sent: bytes, logged: bytes
) -> None:
    line = compile_format('"%REQ(USER-AGENT)%" é')
    assert line(asking(user_agent=sent)) == b'"' + logged + '" é\n'.encode()


def test_text_beyond_latin_1_and_lone_surrogates_do_not_break_a_line(record: Record) -> None:
    record.route = "caf\u20ac\udcff"
    assert compile_format("%ROUTE_NAME%")(record) == rb"caf\u20ac\udcff" + b"\n"
    assert json.loads(compile_format({"r": "%ROUTE_NAME%"})(record)) == {"r": "caf\u20ac\udcff"}


def test_json_reads_utf_8_and_survives_what_is_not(asking: Asking) -> None:
    line = compile_format({"agent": "%REQ(USER-AGENT)%"})
    assert json.loads(line(asking(user_agent="é€".encode()))) == {"agent": "é€"}
    assert json.loads(line(asking(user_agent=b"a\xffb"))) == {"agent": r"a\xffb"}


@given(agent=st.binary(), path=st.text(st.characters(max_codepoint=255)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_a_line(asking: Asking, agent: bytes, path: str) -> None:
    record = asking(path, user_agent=agent)
    text = compile_format('"%REQ(USER-AGENT)%" "%REQ(:PATH)%"')(record)
    assert text.count(b"\n") == 1
    assert all(0x20 <= byte < 0x7F for byte in text[:-1])
    assert re.fullmatch(rb'"(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"\n', text)
    line = compile_format({"agent": "%REQ(USER-AGENT)%", "path": "p%REQ(:PATH)%"})(record)
    assert line.count(b"\n") == 1
    assert json.loads(line).keys() == {"agent", "path"}


def test_a_value_for_a_header_field_is_bare(record: Record) -> None:
    assert compile_value("edge")(record) == "edge"
    assert compile_value('"%PROTOCOL%"%REQ(X-NONE)%;a=1')(record) == '"HTTP/1.1";a=1'
