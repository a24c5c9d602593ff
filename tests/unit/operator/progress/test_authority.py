"""Certificates: real handshakes with what is issued, and a bundle that two operators agree on."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llmfinetune_operator.progress.authority import (
    MAX_BUNDLE,
    Authority,
    bundle,
    load_or_make_authority,
    new_authority,
)
from llmfinetune_operator.progress.serving import ServingCertificate, serving_names
from llmfinetune_operator.settings import Settings

NOW = datetime.now(UTC)
TORN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
NAMES = serving_names(Settings(trainer_image="x", operator_namespace="system", progress_service="operator"))


async def handshake(trusted: str, certificate: ServingCertificate, *, host: str) -> int:
    """Return the serial number that the server shows to a client that trusts only `trusted`."""
    async with await asyncio.start_server(
        lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context
    ) as server:
        client = ssl.create_default_context(cadata=trusted)
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=host)
        shown = writer.get_extra_info("peercert")
        writer.close()
        await writer.wait_closed()
        return int(shown["serialNumber"], 16)


@pytest.mark.parametrize("host", NAMES)
async def test_every_name_of_the_service_is_trusted(host: str) -> None:
    authority = new_authority(now=NOW)
    assert await handshake(authority.pem, ServingCertificate(authority, NAMES, clock=lambda: NOW), host=host)


async def test_another_name_is_not_trusted() -> None:
    authority = new_authority(now=NOW)
    certificate = ServingCertificate(authority, NAMES, clock=lambda: NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(authority.pem, certificate, host="operator.elsewhere.svc")


async def test_another_authority_is_not_trusted() -> None:
    certificate = ServingCertificate(new_authority(now=NOW), NAMES, clock=lambda: NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(new_authority(now=NOW).pem, certificate, host=NAMES[0])


async def test_a_bundle_trusts_each_of_two_operators() -> None:
    first, second = new_authority(now=NOW), new_authority(now=NOW)
    trusted = bundle(first.pem, second.pem, now=NOW)
    for authority in (first, second):
        certificate = ServingCertificate(authority, NAMES, clock=lambda: NOW)
        assert await handshake(trusted, certificate, host=NAMES[0])


async def test_a_renewed_certificate_is_shown_from_the_next_handshake_on() -> None:
    authority = new_authority(now=NOW)
    certificate = ServingCertificate(authority, NAMES, clock=lambda: NOW)
    before = await handshake(authority.pem, certificate, host=NAMES[0])
    certificate.renew()
    assert await handshake(authority.pem, certificate, host=NAMES[0]) != before


async def test_a_certificate_is_renewed_before_it_ends() -> None:
    clock = [NOW]
    certificate = ServingCertificate(new_authority(now=NOW), NAMES, clock=lambda: clock[0])
    due = certificate.renew_at
    assert NOW < due < NOW + timedelta(days=30)
    clock[0] = due + timedelta(seconds=1)
    renewing = asyncio.create_task(certificate.renew_forever())
    await asyncio.sleep(0.01)
    renewing.cancel()
    assert certificate.renew_at > due + timedelta(days=1)


def test_an_authority_survives_a_restart_readable_only_by_its_owner(tmp_path: Path) -> None:
    first = load_or_make_authority(tmp_path, now=NOW)
    assert load_or_make_authority(tmp_path, now=NOW).pem == first.pem
    assert (tmp_path / "ca.pem").stat().st_mode & 0o777 == 0o600


def test_an_authority_that_ends_soon_is_replaced(tmp_path: Path) -> None:
    first = load_or_make_authority(tmp_path, now=NOW)
    later = first.certificate.not_valid_after_utc - timedelta(days=30)
    assert load_or_make_authority(tmp_path, now=later).pem != first.pem


def authorities(count: int) -> list[Authority]:
    return [new_authority(now=NOW - timedelta(days=count - index)) for index in range(count)]


def test_operators_side_by_side_come_to_one_bundle_and_leave_it_alone() -> None:
    first, second = authorities(2)
    live = ""
    for writer in (first, second, first):
        live = bundle(writer.pem, live, now=NOW)
    assert bundle(first.pem, live, now=NOW) == bundle(second.pem, live, now=NOW) == live


def test_of_operators_that_are_gone_only_the_newest_stay() -> None:
    live = ""
    made = authorities(MAX_BUNDLE + 3)
    for each in made:
        live = bundle(each.pem, live, now=NOW)
    assert live.count("BEGIN CERTIFICATE") == MAX_BUNDLE
    assert all(each.pem in live for each in made[-MAX_BUNDLE:])


@pytest.mark.parametrize(
    "known",
    [
        pytest.param("", id="nothing"),
        pytest.param("not a certificate", id="text"),
        pytest.param(TORN, id="a torn certificate"),
        pytest.param(new_authority(now=NOW - timedelta(days=4000)).pem, id="one that has ended"),
        pytest.param(new_authority(now=NOW + timedelta(days=1)).pem, id="one of the future"),
    ],
)
def test_what_is_not_a_valid_certificate_is_left_out_of_the_bundle(known: str) -> None:
    own = new_authority(now=NOW).pem
    assert bundle(own, known, now=NOW) == own
