"""Runs statements in DuckDB, one at a time: python duckdb_client.py. Each comes on standard input and ends with a NUL byte.
Answers a line with the seconds that it took, its rows fetched, and with how many there were.
"""

import glob
import os
import sys
import time

import duckdb


def extension():
    """The postgres extension as a package of this Python has it, which needs no download by DuckDB."""
    found = []
    for path in sys.path:
        found += glob.glob(os.path.join(path, "duckdb_extension_postgres_scanner/extensions/*/*.duckdb_extension"))
    return found[0] if found else "postgres"


def statements():
    pending = b""
    while piece := sys.stdin.buffer.read1():
        *whole, pending = (pending + piece).split(b"\0")
        yield from (statement.decode() for statement in whole)


connection = duckdb.connect()
connection.execute(f"LOAD '{extension()}'")
for sql in statements():
    start = time.monotonic()
    rows = connection.sql(sql)
    count = 0 if rows is None else len(rows.fetchall())
    print(time.monotonic() - start, count, flush=True)
