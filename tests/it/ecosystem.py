"""Drives a Flight SQL server with clients of other makers: python ecosystem.py URI PART. Prints `PART: ok`, or fails."""

import contextlib
import csv
import io
import os
import re
import signal
import subprocess
import sys
import time

import adbc_driver_flightsql.dbapi as flightsql
import polars as polars_package
import pyarrow
import pyarrow.flight as flight

MILLION = "SELECT value, value % 7 AS seven, 'text' AS word FROM generate_series(1, 1000000)"
ENDLESS = "SELECT value FROM generate_series(1, 100000000000)"

# How long a cancelled query may take to end, in seconds.
CANCELLED_WITHIN = 10


def field(number, value):
    """A field of a protobuf message that holds bytes or text."""
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def command(name, *fields):
    """A Flight SQL command as it travels: wrapped in Any."""
    message = b"".join(field(number, value) for number, value in fields)
    return field(1, f"type.googleapis.com/arrow.flight.protocol.sql.{name}") + field(2, message)


def wait_until_none_runs(count):
    deadline = time.monotonic() + CANCELLED_WITHIN
    while count() != 0:
        assert time.monotonic() < deadline, "the query goes on"
        time.sleep(0.05)


def pyarrow_part(uri):
    client = flight.FlightClient(uri.replace("grpc://", "grpc+tcp://"))
    options = flight.FlightCallOptions(headers=[client.authenticate_basic_token("ann", "anything")])

    def info(name, *fields):
        return client.get_flight_info(flight.FlightDescriptor.for_command(command(name, *fields)), options)

    def rows(found):
        return client.do_get(found.endpoints[0].ticket, options)

    def query(sql):
        return rows(info("CommandStatementQuery", (1, sql))).read_all()

    found = info("CommandStatementQuery", (1, "SELECT 1 AS one, 'a' AS word"))
    table = rows(found).read_all()
    assert table.schema == found.schema, (table.schema, found.schema)
    assert table.to_pylist() == [{"one": 1, "word": "a"}]
    assert query("SELECT current_user AS me").to_pylist() == [{"me": "ann"}]

    tables = rows(info("CommandGetTables", (1, "pg"), (3, "c%"))).read_all()
    assert tables.column("table_name").to_pylist() == ["customers"], tables

    total, batches = 0, 0
    for chunk in rows(info("CommandStatementQuery", (1, MILLION))):
        total, batches = total + chunk.data.num_rows, batches + 1
    assert (total, batches > 10) == (1000000, True), (total, batches)

    for sql, error in [
        ("SELECT nothing", pyarrow.ArrowInvalid),
        ("SELECT * FROM pg.public.nothing", KeyError),
        ("SELECT * FROM pg.public.customers FOR UPDATE", NotImplementedError),
    ]:
        try:
            query(sql)
            raise AssertionError(f"{sql} has an answer")
        except error:
            pass

    reader = rows(info("CommandStatementQuery", (1, ENDLESS)))
    reader.read_chunk()
    reader.cancel()
    running = "SELECT count(*) AS n FROM system.runtime.queries WHERE ended IS NULL AND query LIKE '%100000000000%' AND query NOT LIKE '%ended%'"
    wait_until_none_runs(lambda: query(running).to_pylist()[0]["n"])


def polars_part(uri):
    with flightsql.connect(uri, autocommit=True) as connection:

        def read(sql, **options):
            return polars_package.read_database(sql, connection, **options)

        frame = read(
            "SELECT customer_id, country FROM pg.public.customers WHERE customer_id <= ? ORDER BY 1",
            execute_options={"parameters": [3]},
        )
        assert frame["customer_id"].to_list() == [1, 2, 3], frame
        assert frame.schema["country"] == polars_package.String, frame.schema
        assert read(MILLION).shape == (1000000, 3)
        batches = read(MILLION, iter_batches=True, batch_size=10000)
        assert next(iter(batches)).shape[1] == 3
        joined = read(
            "SELECT c.segment, sum(o.amount) AS total FROM lake.sales.orders o "
            "JOIN pg.public.customers c ON c.customer_id = o.customer_id GROUP BY c.segment ORDER BY 1"
        )
        assert joined.schema["total"].is_decimal() and len(joined) > 1, joined


def usql_part(uri):
    program = os.path.join(os.path.dirname(sys.executable), "usql")
    address = uri.replace("grpc://", "flightsql://")

    def usql(sql):
        done = subprocess.run(
            [program, address, "-X", "-q", "--csv", "-c", sql], capture_output=True, text=True, timeout=120
        )
        return list(csv.reader(io.StringIO(done.stdout))), done.stderr, done.returncode

    rows, error, status = usql("SELECT 1 AS one, 'it''s' AS word")
    assert (rows, status) == ([["one", "word"], ["1", "it's"]], 0), (rows, error)
    rows, error, status = usql("SELECT table_name FROM pg.information_schema.tables WHERE table_schema = 'public'")
    assert sorted(rows[1:]) == [["customers"], ["products"]], (rows, error)
    rows, error, status = usql(MILLION)
    assert (len(rows), rows[-1][2]) == (1000001, "text"), error
    rows, error, status = usql("SELECT nothing")
    assert status != 0 and "column nothing does not exist" in error, error

    # Ctrl-C ends the query at the server.
    endless = subprocess.Popen(
        [program, address, "-X", "-q", "-c", ENDLESS.replace("SELECT value", "SELECT count(value)")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running = "SELECT count(*) AS n FROM system.runtime.queries WHERE ended IS NULL AND query LIKE '%count(value)%' AND query NOT LIKE '%ended%'"

    with flightsql.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:

        def count():
            cursor.execute(running)
            return cursor.fetchone()[0]

        deadline = time.monotonic() + CANCELLED_WITHIN
        while count() == 0:
            assert time.monotonic() < deadline, "the query does not run"
            time.sleep(0.05)
        endless.send_signal(signal.SIGINT)
        endless.wait(CANCELLED_WITHIN)
        wait_until_none_runs(count)


def snippets_part(uri):
    programs = []
    for page in ["README.md", "docs/clients.md"]:
        with open(os.path.join(os.path.dirname(__file__), "../..", page), encoding="utf-8") as file:
            programs += re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)
    assert len(programs) == 3, programs
    for program in programs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program.replace("127.0.0.1:32010", uri.split("//")[1]), {})
        assert "value" in printed.getvalue(), (program, printed.getvalue())


if __name__ == "__main__":
    uri, part = sys.argv[1:]
    {"pyarrow": pyarrow_part, "polars": polars_part, "snippets": snippets_part, "usql": usql_part}[part](uri)
    print(f"{part}: ok")
