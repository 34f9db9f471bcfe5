"""Reads the rows of a statement and throws them away: python reader.py URI SQL [--sum COLUMN] [--for SECONDS].

Prints lines of a name and a number: `first`, the seconds to the first batch; `rows`, `bytes`, `seconds` in all, `cpu`
seconds of this process. With --sum also the `sum` of a column of whole numbers. With --for it cancels the statement
after this time, prints `cancelled 1`, and stays until its standard input ends: leaving would break the connection,
which is another way to end a statement.
"""

import argparse
import resource
import sys
import time

import pyarrow
import pyarrow.compute
import pyarrow.flight as flight


def field(number, value):
    """A field of a protobuf message that holds bytes."""
    length, encoded = len(value), bytearray()
    while length > 127:
        encoded.append(length & 127 | 128)
        length >>= 7
    encoded.append(length)
    return bytes([number << 3 | 2]) + bytes(encoded) + value


def command(sql):
    """CommandStatementQuery as it travels: wrapped in Any."""
    name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return field(1, name) + field(2, field(1, sql.encode()))


def tell(name, number):
    print(name, number, flush=True)


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("uri")
    arguments.add_argument("sql")
    arguments.add_argument("--sum")
    arguments.add_argument("--for", type=float, dest="seconds")
    arguments = arguments.parse_args()

    client = flight.FlightClient(arguments.uri)
    client.wait_for_available()
    cpu_before, start = cpu(), time.monotonic()
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command(arguments.sql)))
    reader = client.do_get(info.endpoints[0].ticket)
    rows, size, total = 0, 0, 0
    for chunk in reader:
        batch = chunk.data
        if rows == 0:
            tell("first", time.monotonic() - start)
        rows += batch.num_rows
        size += batch.nbytes
        if arguments.sum:
            total += pyarrow.compute.sum(batch.column(arguments.sum)).as_py() or 0
        if arguments.seconds is not None and time.monotonic() - start > arguments.seconds:
            break
    tell("seconds", time.monotonic() - start)
    tell("cpu", cpu() - cpu_before)
    tell("rows", rows)
    tell("bytes", size)
    if arguments.sum:
        tell("sum", total)
    if arguments.seconds is not None:
        reader.cancel()
        tell("cancelled", 1)
        sys.stdin.read()


main()
