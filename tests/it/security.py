"""Logs in to a Flight SQL server: python security.py URI PART [FILE ...]. Prints `PART: ok`, or fails.

The server knows alice with the password "open sesame", and no carol."""

import base64
import sys
import time

import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager as adbc
import pyarrow.flight as flight

NAME, PASSWORD = "alice", "open sesame"

HEADER = "adbc.flight.sql.authorization_header"
TLS = "adbc.flight.sql.client_option."


def connect(uri, options):
    return flightsql.connect(uri, db_kwargs=options, autocommit=True)


def answers(uri, options):
    with connect(uri, options) as connection, connection.cursor() as cursor:
        for _ in range(3):
            cursor.execute("SELECT 1 AS one")
            assert cursor.fetchall() == [(1,)]


def refused(uri, options, status=adbc.AdbcStatusCode.UNAUTHENTICATED):
    try:
        answers(uri, options)
    except adbc.Error as error:
        assert error.status_code == status, (error.status_code, str(error))
        assert PASSWORD not in str(error), str(error)
        return str(error)
    raise AssertionError(f"{options.keys()} was let in")


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def password(uri):
    # A handshake, then its token with each call.
    answers(uri, {"username": NAME, "password": PASSWORD})
    wrong = refused(uri, {"username": NAME, "password": "open barley"})
    unknown = refused(uri, {"username": "carol", "password": PASSWORD})
    assert wrong == unknown, (wrong, unknown)
    refused(uri, {})
    # No handshake, but name and password with each call.
    answers(uri, {HEADER: basic(NAME, PASSWORD)})
    refused(uri, {HEADER: basic(NAME, "")})
    refused(uri, {HEADER: "Bearer portolan-session-0123"})
    refused(uri, {HEADER: "nonsense"})


def renewal(uri, seconds):
    """Calls for longer than a token lives: the driver takes over the ones that answers bring."""
    end = time.monotonic() + float(seconds)
    with connect(uri, {"username": NAME, "password": PASSWORD}) as connection, connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute("SELECT 1 AS one")
            assert cursor.fetchall() == [(1,)]
            time.sleep(0.1)


def pyarrow(uri):
    with flight.connect(uri) as client:
        header = client.authenticate_basic_token(NAME, PASSWORD)
        assert header[0] == b"authorization" and header[1].startswith(b"Bearer "), header[0]
        actions = list(client.list_actions(flight.FlightCallOptions(headers=[header])))
        assert "CreatePreparedStatement" in [action.type for action in actions], actions
        for headers in [[], [(b"authorization", b"Bearer x")], [(b"authorization", header[1][:-1])]]:
            try:
                list(client.list_actions(flight.FlightCallOptions(headers=headers)))
            except flight.FlightUnauthenticatedError:
                continue
            raise AssertionError(f"{headers} was let in")
    with flight.connect(uri) as client:
        try:
            client.authenticate_basic_token(NAME, "open barley")
        except flight.FlightUnauthenticatedError as error:
            assert "barley" not in str(error), str(error)
            return
        raise AssertionError("a wrong password was let in")


def bearer(uri, good, bad):
    answers(uri, {HEADER: f"Bearer {good}"})
    refused(uri, {HEADER: f"Bearer {bad}"})
    refused(uri, {"username": NAME, "password": PASSWORD})


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def tls(uri, authority):
    """The server's certificate is of a private authority."""
    trusting = {TLS + "tls_root_certs": read(authority)}
    answers(uri, {**trusting, "username": NAME, "password": PASSWORD})
    refused(uri, {**trusting, "username": NAME, "password": "open barley"})
    # Whom the client does not trust learns no password.
    refused(uri, {"username": NAME, "password": PASSWORD}, adbc.AdbcStatusCode.IO)
    plain = uri.replace("grpc+tls://", "grpc://")
    refused(plain, {"username": NAME, "password": PASSWORD}, adbc.AdbcStatusCode.IO)
    with flight.connect(uri, tls_root_certs=read(authority)) as client:
        header = client.authenticate_basic_token(NAME, PASSWORD)
        assert list(client.list_actions(flight.FlightCallOptions(headers=[header])))


def mutual(uri, authority, certificate, key):
    """Clients have certificates, and are known by them."""
    trusting = {TLS + "tls_root_certs": read(authority)}
    own = {TLS + "mtls_cert_chain": read(certificate), TLS + "mtls_private_key": read(key)}
    answers(uri, {**trusting, **own})
    refused(uri, trusting, adbc.AdbcStatusCode.IO)
    options = {"tls_root_certs": read(authority), "cert_chain": read(certificate), "private_key": read(key)}
    with flight.connect(uri, **options) as client:
        assert list(client.list_actions())


PARTS = {part.__name__: part for part in (password, renewal, pyarrow, bearer, tls, mutual)}

if __name__ == "__main__":
    PARTS[sys.argv[2]](sys.argv[1], *sys.argv[3:])
    print(f"{sys.argv[2]}: ok")
