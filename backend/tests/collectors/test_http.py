"""Requests of the client, checks of its answers, and masked secrets."""

from __future__ import annotations

import asyncio
import gzip
import html
import logging
import subprocess
import sys
import traceback
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx2
import pytest

from backend.collectors.base import Kind, Payload, Request
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.core.config import Settings
from backend.core.errors import FetchError, UnchangedError
from backend.tests.support.full_disk import disk_with_room_for
from backend.tests.support.loopback import JSON, Loopback, redirects, resets, says, says_gzipped, sends
from backend.tests.support.waiting import HANG_SECONDS

ONCE = HttpLimits(attempts=1)
NOON = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)
KEY = "k3y/with+odd sïgns&<more>"
GRIB = b"GRIB" + bytes(100) + b"7777"


def noon() -> datetime:
    return NOON


def answering(*answers: httpx2.Response) -> httpx2.MockTransport:
    """Return a network that gives these answers in turn, and then the last one again."""
    left = list(answers)
    return httpx2.MockTransport(lambda _: left.pop(0) if len(left) > 1 else left[0])


def client_for(answer: httpx2.Response, **arguments: object) -> HttpClient:
    return HttpClient(transport=answering(answer), limits=ONCE, clock=noon, **arguments)  # type: ignore[arg-type]


def asks(kind: Kind = "json", url: str = "https://data.example/read") -> Request:
    return Request(url=url, kind=kind)


async def fetch(body: bytes, request: Request, headers: dict[str, str] | None = None) -> Payload:
    async with client_for(httpx2.Response(200, content=body, headers=headers)) as client:
        return await client(request)


async def refusal(body: bytes, request: Request, headers: dict[str, str] | None = None) -> str:
    with pytest.raises(FetchError) as caught:
        await fetch(body, request, headers)
    assert caught.value.status == 200
    return caught.value.reason


def shown(error: BaseException) -> str:
    """Return everything that a log or a console may write about an error."""
    return "\n".join([str(error), repr(error), *traceback.format_exception(error)])


def spellings(secret: str) -> Iterable[str]:
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret)}


# What is sent


async def test_requests_have_a_user_agent_and_accept_gzip() -> None:
    async with Loopback(says()) as server, HttpClient(contact="pilot@example.org") as client:
        await client(server.asks())
    assert f"User-Agent: MeteoScore/{version('meteo-score')} (+pilot@example.org)\r\n" in server.heads[0]
    assert "Accept-Encoding: gzip\r\n" in server.heads[0]


async def test_without_a_contact_the_user_agent_has_none() -> None:
    async with Loopback(says()) as server, HttpClient() as client:
        await client(server.asks())
    assert f"User-Agent: MeteoScore/{version('meteo-score')}\r\n" in server.heads[0]


async def test_the_settings_give_contact_spacing_hosts_and_secrets() -> None:
    seen: list[httpx2.Request] = []

    def answer(message: httpx2.Request) -> httpx2.Response:
        seen.append(message)
        if message.url.host == "www.romma.fr":
            return httpx2.Response(302, headers={"Location": "https://winds.mobi/x?of=ad-min-token"})
        return httpx2.Response(200, content=b"{}")

    settings = Settings.load(contact="pilot@example.org", admin_token="ad-min-token")
    async with HttpClient.from_settings(settings, noon, transport=httpx2.MockTransport(answer)) as client:
        payload = await client(asks(url="https://winds.mobi/api"))
        with pytest.raises(FetchError, match="contains our key"):
            await client(asks(url="https://www.romma.fr/releves"))
    assert payload.fetched_at == NOON
    assert seen[0].headers["User-Agent"].endswith("(+pilot@example.org)")


async def test_parameters_and_headers_are_sent_and_secret_ones_are_masked() -> None:
    async with Loopback(says()) as server, HttpClient() as client:
        payload = await client(
            replace(
                server.asks("/data?base=json"),
                params={"r": "list of", "mode": "a&b"},
                secret_params={"key": KEY},
                headers={"X-Plain": "yes"},
                secret_headers={"apikey": "ключ"},
            )
        )
    target, _, headers = server.heads[0].partition("\r\n")
    assert target == (
        "GET /data?base=json&r=list+of&mode=a%26b&key=k3y%2Fwith%2Bodd+s%C3%AFgns%26%3Cmore%3E HTTP/1.1"
    )
    assert "X-Plain: yes\r\n" in headers
    assert "apikey: ключ\r\n" in headers
    assert payload.url == f"{server.url}/data?base=json&r=list+of&mode=a%26b"


async def test_a_password_in_a_base_url_is_sent_and_masked() -> None:
    async with Loopback(says(), says(b"p4ssw0rd?", "403 Forbidden")) as server, HttpClient() as client:
        request = asks(url=f"http://me:p4ssw0rd@{server.netloc}/data")
        payload = await client(request)
        with pytest.raises(FetchError) as caught:
            await client(request)
    assert "Authorization: Basic " in server.heads[0]
    assert payload.url == f"http://{server.netloc}/data"
    assert "p4ssw0rd" not in shown(caught.value)


async def test_a_cookie_is_sent_with_the_next_request() -> None:
    first = says(JSON, Set_Cookie="PHPSESSID=abc123; path=/")
    async with Loopback(first, says()) as server, HttpClient() as client:
        await client(server.asks("/index.php"))
        await client(server.asks("/beacon"))
    assert "Cookie:" not in server.heads[0]
    assert "Cookie: PHPSESSID=abc123\r\n" in server.heads[1]


async def test_a_proxy_in_the_environment_is_not_asked_for_what_runs_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Loopback(says(b"[]")) as proxy, Loopback(says()) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with HttpClient() as client:
            assert (await client(server.asks())).body == JSON
            assert (await client(asks(url="http://far.example/data"))).body == b"[]"
        assert proxy.heads[0].startswith("GET http://far.example/data HTTP/1.1\r\n")


# What is believed


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("json", b'{"a": 1}'),
        ("json", b'\xef\xbb\xbf[{"idBalise": "64"}]'),
        ("json", b"\r\n \t[]"),
        ("xml", b'<?xml version="1.0"?>\n<releves></releves>'),
        ("xml", b"\xef\xbb\xbf<balises><balise/></balises>"),
        ("xml", b"<!-- p --><ListBucketResult/>"),
        ("html", b"<!DOCTYPE html><html><body>x</body></html>"),
        ("html", b'<?xml version="1.0"?><!DOCTYPE html><html></html>'),
        ("html", b"\n<section>x</section>"),
        ("grib", GRIB),
    ],
)
async def test_a_body_of_its_kind_is_given_as_it_came(kind: Kind, body: bytes) -> None:
    assert (await fetch(body, asks(kind))).body == body


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("json", b"<html><body>error#2", "expected JSON, got HTML: '<html><body>error#2'"),
        ("json", b"<releves/>", "expected JSON, got XML: '<releves/>'"),
        ("json", b"No access", "expected JSON, got text: 'No access'"),
        ("json", b"null", "expected JSON, got text: 'null'"),
        ("xml", b"<!DOCTYPE HTML>\n<p>oops", "expected XML, got HTML: '<!DOCTYPE HTML> <p>oops'"),
        ("xml", b"<?xml version='1.0'?>\n<!DOCTYPE html>", "expected XML, got HTML: "),
        ("xml", b"<!-- a -->\n<!-- b --> <html>", "expected XML, got HTML: "),
        ("xml", b"<br />\n<b>Fatal error</b>", "expected XML, got HTML: '<br /> <b>Fatal error</b>'"),
        ("xml", b'{"fault": 1}', "expected XML, got JSON: '{\"fault\": 1}'"),
        ("html", b"ERROR2 : no data", "expected HTML, got text: 'ERROR2 : no data'"),
        ("html", b"[]", "expected HTML, got JSON: '[]'"),
        ("grib", b"<Error><Code>NoSuchKey", "expected GRIB, got XML: '<Error><Code>NoSuchKey'"),
        ("grib", b"\x00\x01\x02", "expected GRIB, got binary: "),
        ("grib", GRIB[:-1], "cut: a GRIB that does not end with 7777"),
    ],
)
async def test_a_body_of_another_kind_is_refused_and_named(kind: Kind, body: bytes, reason: str) -> None:
    assert (await refusal(body, asks(kind))).startswith(reason)


async def test_an_unexpected_body_is_quoted_in_eighty_characters() -> None:
    assert await refusal(b"x" * 10_000, asks()) == f"expected JSON, got text: {'x' * 80!r}"


@pytest.mark.parametrize("declared", [1, 9])
async def test_a_body_of_another_length_than_declared_is_refused(declared: int) -> None:
    headers = {"Content-Length": str(declared)}
    assert await refusal(b"{}", asks(), headers) == f"cut: received 2 of {declared} bytes"


@pytest.mark.parametrize(("announced", "retryable"), [(200, True), (50, False)])
async def test_a_size_other_than_the_index_announced_is_refused(announced: int, retryable: bool) -> None:
    with pytest.raises(FetchError) as caught:
        await fetch(GRIB, replace(asks("grib"), expected_bytes=announced))
    assert caught.value.reason == f"received 108 bytes, the index announced {announced}"
    assert caught.value.retryable is retryable


async def test_a_size_as_announced_is_believed() -> None:
    assert (await fetch(GRIB, replace(asks("grib"), expected_bytes=len(GRIB)))).body == GRIB


async def test_a_compressed_body_is_given_decompressed_and_counted_as_it_travelled() -> None:
    body = b"[" + b"1," * 5000 + b"1]"
    async with Loopback(says_gzipped(body)) as server, HttpClient() as client:
        counted = client.counted()
        assert (await counted(server.asks())).body == body
    assert counted.bytes == len(gzip.compress(body)) < 100
    assert counted.requests == 1


async def test_a_decompression_bomb_is_given_up_before_it_fills_the_memory() -> None:
    bomb = gzip.compress(b"[" + b" " * 64_000_000)
    async with Loopback(says(bomb, Content_Encoding="gzip")) as server, HttpClient() as client:
        tracemalloc.start()
        try:
            with pytest.raises(FetchError, match="body larger than 1000000 bytes") as caught:
                await client(replace(server.asks(), max_bytes=1_000_000))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8_000_000
    assert not caught.value.retryable
    assert len(server.heads) == 1


async def test_the_kind_of_a_body_of_many_comments_is_found_at_once() -> None:
    with pytest.raises(FetchError, match="expected JSON, got XML"):
        await fetch(b"<!-- -->" * 400 + b"?", asks())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Wed, 15 Jul 2026 11:58:30 GMT", datetime(2026, 7, 15, 11, 58, 30, tzinfo=UTC)),
        ("Wed, 15 Jul 2026 13:58:30 +0200", datetime(2026, 7, 15, 11, 58, 30, tzinfo=UTC)),
        ("Wed, 15 Jul 2026 11:58:30 -0000", datetime(2026, 7, 15, 11, 58, 30, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        ("Fri, 31 Dec 9999 23:59:59 -0100", None),
    ],
)
async def test_the_publishers_stamp_is_read_into_utc(header: str, expected: datetime | None) -> None:
    payload = await fetch(b"{}", asks(), {"Last-Modified": header})
    assert payload.last_modified == expected
    assert payload.fetched_at == NOON


async def test_a_file_of_the_version_that_is_known_is_not_downloaded(tmp_path: Path) -> None:
    stamps = {"ETag": '"1"', "Last-Modified": "Wed, 15 Jul 2026 11:58:30 GMT"}
    answer = httpx2.Response(200, content=GRIB, headers=stamps)
    async with client_for(answer, folder=tmp_path) as client:
        async with client.download(asks("grib")) as download:
            known = download.version
        counted = client.counted()
        with pytest.raises(UnchangedError):
            async with counted.download(replace(asks("grib"), known=known)):
                pass
        async with client.download(replace(asks("grib"), known=f"{known} or so")) as download:
            assert download.path.read_bytes() == GRIB

    assert known == f'{len(GRIB)} "1" Wed, 15 Jul 2026 11:58:30 GMT'
    assert (counted.requests, counted.bytes) == (1, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["https://data.example/\x00", "ftp://data.example/file", "nowhere"])
async def test_an_invalid_url_is_an_error_without_a_retry(url: str) -> None:
    async with HttpClient() as client:
        with pytest.raises(FetchError) as caught:
            await client(asks(url=url))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("error", "reason", "retryable"),
    [
        (httpx2.ConnectTimeout("late"), "no connection within 10 s", True),
        (httpx2.ReadTimeout("late"), "no data received for 30 s", True),
        (httpx2.ConnectError("refused"), "no connection: refused", True),
        (httpx2.ProxyError("502 from proxy"), "no connection: 502 from proxy", True),
        (httpx2.ReadError(""), "connection cut: ReadError", True),
        (httpx2.RemoteProtocolError("odd"), "connection cut: odd", True),
        (httpx2.LocalProtocolError("bad header"), "LocalProtocolError: bad header", False),
    ],
)
async def test_a_low_level_error_becomes_a_fetch_error_with_its_cause(
    error: httpx2.RequestError, reason: str, retryable: bool
) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise error

    async with HttpClient(transport=httpx2.MockTransport(fail), limits=ONCE) as client:
        with pytest.raises(FetchError) as caught:
            await client(replace(asks(), params={"id": "64"}))
    assert (caught.value.reason, caught.value.retryable) == (reason, retryable)
    assert caught.value.url == "https://data.example/read?id=64"
    assert caught.value.status is None
    assert caught.value.__cause__ is error


# Redirects


async def test_a_redirect_within_the_host_is_followed_with_what_the_host_may_see() -> None:
    async with Loopback(redirects("/new?page=2"), says()) as server, HttpClient() as client:
        counted = client.counted()
        payload = await counted(replace(server.asks("/old"), secret_headers={"apikey": "s3cret-key"}))
    assert payload.body == JSON
    assert payload.url == f"{server.url}/old"
    assert server.heads[1].startswith("GET /new?page=2 HTTP/1.1")
    assert "apikey: s3cret-key" in server.heads[1]
    assert counted.requests == 2


async def test_a_redirect_whose_body_never_comes_is_followed_and_its_connection_closed() -> None:
    closed = asyncio.Event()

    async def redirects_and_hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 1000\r\n\r\n")
        await reader.read()
        closed.set()

    async with (
        Loopback(redirects_and_hangs, says()) as server,
        HttpClient() as client,
        asyncio.timeout(HANG_SECONDS),
    ):
        assert (await client(server.asks())).body == JSON
        await closed.wait()


async def test_a_redirect_to_a_host_we_do_not_know_is_refused_and_named() -> None:
    async with (
        Loopback(says()) as other,
        Loopback(redirects(f"{other.url}/x")) as server,
        HttpClient() as client,
    ):
        with pytest.raises(FetchError) as caught:
            await client(server.asks())
        assert other.heads == []
    assert caught.value.reason == (
        f"refused a redirect to {other.netloc}, which is not one of the configured hosts"
    )
    assert not caught.value.retryable


async def test_a_redirect_to_a_configured_host_is_followed_without_keys() -> None:
    async with (
        Loopback(redirects("/back"), says()) as other,
        Loopback(redirects(f"{other.url}/x")) as server,
        HttpClient(hosts={other.netloc.upper()}) as client,
    ):
        payload = await client(
            replace(
                server.asks(),
                headers={"X-Plain": "yes"},
                secret_headers={"apikey": "s3cret-key"},
                secret_params={"token": "t0ken-t0ken"},
            )
        )
    assert payload.body == JSON
    assert "s3cret-key" in server.heads[0]
    assert "t0ken-t0ken" in server.heads[0]
    for head in other.heads:
        assert "X-Plain: yes" in head
        assert "s3cret-key" not in head
        assert "t0ken-t0ken" not in head
    assert len(other.heads) == 2


async def test_a_redirect_that_would_hand_a_key_to_another_host_is_refused() -> None:
    async with Loopback(says()) as other:
        leak = redirects(f"{other.url}/x?key={quote_plus(KEY).lower()}")
        async with Loopback(leak) as server, HttpClient(hosts={other.netloc}) as client:
            with pytest.raises(FetchError, match="its address contains our key"):
                await client(replace(server.asks(), secret_params={"key": KEY}))
        assert other.heads == []


@pytest.mark.parametrize(
    ("asked", "location", "reason"),
    [
        ("https://data.example/", "http://data.example/", "refused a redirect from https to http"),
        ("https://data.example/", "ftp://data.example/", "refused a redirect from https to ftp"),
        ("https://data.example/", "https://data.example:8443/", "refused a redirect to data.example:8443"),
        ("https://data.example/", "//evil.example/", "refused a redirect to evil.example"),
        (
            "https://data.example/",
            "https://\x7f/",
            "redirected to 'https://\\x7f/', which is not a valid URL",
        ),
    ],
)
async def test_a_redirect_elsewhere_is_refused(asked: str, location: str, reason: str) -> None:
    async with client_for(httpx2.Response(307, headers={"Location": location})) as client:
        with pytest.raises(FetchError) as caught:
            await client(asks(url=asked))
    assert caught.value.reason.startswith(reason)


async def test_a_redirect_from_http_to_https_of_the_same_host_is_followed() -> None:
    moved = httpx2.Response(301, headers={"Location": "https://data.example/read"})
    transport = answering(moved, httpx2.Response(200, content=b"{}"))
    async with HttpClient(transport=transport) as client:
        assert (await client(asks(url="http://data.example/read"))).body == b"{}"


async def test_redirects_end_after_five() -> None:
    async with Loopback(redirects("/again")) as server, HttpClient() as client:
        with pytest.raises(FetchError, match="redirected more than 5 times"):
            await client(server.asks())
    assert len(server.heads) == 6


# Keys


async def test_a_key_that_a_host_repeats_is_masked_however_it_is_spelt() -> None:
    for spelling in spellings(KEY):
        body = b"unknown key " + spelling.encode()
        async with client_for(httpx2.Response(200, content=body)) as client:
            with pytest.raises(FetchError) as caught:
                await client(replace(asks(), secret_params={"key": KEY}))
        assert caught.value.reason == "expected JSON, got text: 'unknown key ***'"


async def test_a_key_at_the_edge_of_what_is_shown_is_not_shown_by_half() -> None:
    body = b"x" * 70 + KEY.encode()
    async with client_for(httpx2.Response(200, content=body), secrets=[KEY]) as client:
        with pytest.raises(FetchError) as caught:
            await client(asks())
    assert caught.value.reason.endswith("xx***'")


async def test_a_key_is_masked_in_every_text_of_a_refusal() -> None:
    secret = "s3cret-key"
    refused = httpx2.Response(403, content=b"bad s3cret-key", extensions={"reason_phrase": b"No S3CRET-KEY"})
    moved = httpx2.Response(302, headers={"Location": "https://s3cret-key.example/s3cret-key"})
    for answer in (refused, moved):
        async with client_for(answer) as client:
            with pytest.raises(FetchError) as caught:
                await client(replace(asks(), secret_headers={"apikey": secret}))
        assert secret not in shown(caught.value).lower()
        assert "***" in caught.value.reason


async def test_an_error_that_quotes_a_key_is_not_chained() -> None:
    pasted_with_a_newline = {"apikey": "s3cret-key\n"}
    async with HttpClient(limits=ONCE) as client, Loopback(says()) as server:
        request = replace(server.asks(), secret_headers=pasted_with_a_newline)
        with pytest.raises(FetchError, match="Illegal header value") as caught:
            await client(request)
    assert "s3cret" not in shown(caught.value)
    assert caught.value.__cause__ is None


async def test_keys_are_in_no_log_line_at_any_level(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "s3cret-key"
    async with (
        Loopback(resets, says(b"busy s3cret-key", "503 Busy"), says()) as server,
        HttpClient(limits=HttpLimits(backoff=0, jitter=0)) as client,
    ):
        await client(replace(server.asks(), secret_params={"key": secret}, secret_headers={"apikey": secret}))
        assert sum(secret in head for head in server.heads) == 3
    output = capsys.readouterr()
    assert "retry_scheduled" in output.out + output.err + caplog.text  # something was logged at all
    assert secret not in output.out + output.err + caplog.text


def test_a_request_does_not_show_its_keys() -> None:
    request = replace(asks(), secret_params={"key": "s3cret-key"}, secret_headers={"apikey": "s3cret-key"})
    assert "s3cret-key" not in repr(request)


# Downloads


async def test_a_download_is_a_whole_file_that_is_gone_afterwards(tmp_path: Path) -> None:
    body = b"GRIB" + bytes(3_000_000) + b"7777"
    stamp = "Wed, 15 Jul 2026 11:58:30 GMT"
    async with (
        Loopback(says(body, Last_Modified=stamp)) as server,
        HttpClient(folder=tmp_path, clock=noon) as client,
    ):
        counted = client.counted()
        request = replace(server.asks("/file.grib2"), kind="grib", expected_bytes=len(body))
        async with counted.download(request) as download:
            assert list(tmp_path.iterdir()) == [], "not even SIGKILL leaves anything behind"
            assert download.path.read_bytes() == body
            in_a_worker = [sys.executable, "-c", "import sys; print(len(open(sys.argv[1], 'rb').read()))"]
            read = await asyncio.to_thread(subprocess.check_output, [*in_a_worker, str(download.path)])
            assert int(read) == len(body)
            assert download.url == f"{server.url}/file.grib2"
            assert download.fetched_at == NOON
            assert download.last_modified == datetime(2026, 7, 15, 11, 58, 30, tzinfo=UTC)
    assert list(tmp_path.iterdir()) == []
    assert (counted.requests, counted.bytes) == (1, len(body))


async def test_a_download_starts_afresh_after_a_cut(tmp_path: Path) -> None:
    cut = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\nGRIB" + b"\1" * 2_500_000)
    limits = HttpLimits(backoff=0, jitter=0)
    async with (
        Loopback(cut, says(GRIB[:-4]), says(GRIB)) as server,
        HttpClient(folder=tmp_path, limits=limits) as client,
        client.download(replace(server.asks(), kind="grib")) as download,
    ):
        assert download.path.read_bytes() == GRIB
        assert len(server.heads) == 3


async def test_a_download_that_fails_leaves_no_file(tmp_path: Path) -> None:
    async with Loopback(says(b"<html>")) as server, HttpClient(folder=tmp_path) as client:
        with pytest.raises(FetchError, match="expected GRIB, got HTML"):
            async with client.download(replace(server.asks(), kind="grib")):
                pytest.fail("a page was given for a GRIB")
    assert list(tmp_path.iterdir()) == []


async def test_a_download_is_gone_when_its_user_fails(tmp_path: Path) -> None:
    async with Loopback(says(GRIB)) as server, HttpClient(folder=tmp_path) as client:
        with pytest.raises(ZeroDivisionError):
            async with client.download(replace(server.asks(), kind="grib")):
                _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


async def test_a_download_that_is_cancelled_leaves_no_file(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\nGRIB")
        started.set()
        await reader.read()

    async def use(client: HttpClient, request: Request) -> None:
        async with client.download(request):
            pytest.fail("half a file was given")

    async with Loopback(half) as server, HttpClient(folder=tmp_path) as client:
        task = asyncio.create_task(use(client, replace(server.asks(), kind="grib")))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert list(tmp_path.iterdir()) == []


async def test_a_user_of_a_download_does_not_keep_others_from_the_host(tmp_path: Path) -> None:
    limits = HttpLimits(per_host=1)
    async with Loopback(says(GRIB)) as server, HttpClient(folder=tmp_path, limits=limits) as client:
        request = replace(server.asks(), kind="grib")
        async with (
            asyncio.timeout(HANG_SECONDS),
            client.download(request) as one,
            client.download(request) as two,
        ):
            assert one.path.read_bytes() == two.path.read_bytes() == GRIB


async def test_a_folder_that_cannot_be_written_is_the_error_of_that_download(tmp_path: Path) -> None:
    async with HttpClient(folder=tmp_path / "missing") as client:
        with pytest.raises(FetchError) as caught:
            async with client.download(asks("grib")):
                pytest.fail("there is no such folder")
    assert caught.value.reason == "cannot write the download: No such file or directory"
    assert caught.value.url == "https://data.example/read"


@pytest.mark.parametrize(("size", "room"), [(3_000_000, 1_500_000), (5_000, 2_000)])
async def test_a_disk_that_fills_up_is_the_error_of_that_download(
    tmp_path: Path, size: int, room: int
) -> None:
    body = b"GRIB" + bytes(size) + b"7777"
    async with Loopback(says(body)) as server, HttpClient(folder=tmp_path) as client:
        with disk_with_room_for(room), pytest.raises(FetchError) as caught:
            async with client.download(replace(server.asks(), kind="grib")):
                pytest.fail("half a file was given")
        assert len(server.heads) == 1
    assert caught.value.reason == "cannot write the download: File too large"
    assert list(tmp_path.iterdir()) == []


async def test_the_sources_are_counted_apart_though_they_share_the_client() -> None:
    async with Loopback(says()) as server, HttpClient() as client:
        one, two = client.counted(), client.counted()
        await one(server.asks())
        await asyncio.gather(one(server.asks()), two(server.asks()))
    assert (one.requests, one.bytes) == (2, 2 * len(JSON))
    assert (two.requests, two.bytes) == (1, len(JSON))
