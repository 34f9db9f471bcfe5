"""Drives a Flight SQL server with ADBC: python adbc.py URI PART. Prints `PART: ok`, or fails."""

import datetime
import decimal
import sys

import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager as adbc
import pyarrow


def connect(uri, **options):
    # The server has no transactions, which is what autocommit says.
    return flightsql.connect(uri, autocommit=True, **options)


def statements(uri):
    with connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one, 'é' AS word, CAST(NULL AS varchar) AS nothing")
        table = cursor.fetch_arrow_table()
        assert table.schema == pyarrow.schema(
            [
                pyarrow.field("one", pyarrow.int64(), nullable=False),
                pyarrow.field("word", pyarrow.string(), nullable=False),
                pyarrow.field("nothing", pyarrow.string()),
            ]
        ), table.schema
        assert table.to_pylist() == [{"one": 1, "word": "é", "nothing": None}]

        cursor.execute("SELECT value FROM generate_series(1, 100000) ORDER BY value DESC")
        assert cursor.fetchone() == (100000,)
        assert cursor.fetchmany(2) == [(99999,), (99998,)]
        assert len(cursor.fetchall()) == 99997

        # No rows, but columns.
        cursor.execute("SELECT 1 AS one WHERE false")
        assert [column[0] for column in cursor.description] == ["one"]
        assert cursor.fetchall() == []

        # Compressed rows are the same rows.
        for compression in ["lz4", "zstd"]:
            cursor.executescript(f"SET SESSION result_compression = '{compression}'")
            cursor.execute("SELECT sum(value) AS total FROM generate_series(1, 1000)")
            assert cursor.fetchall() == [(500500,)]
        cursor.executescript("RESET ALL")

        # Types that older clients do not know arrive as those that they do.
        cursor.execute("SELECT arrow_cast('a', 'Utf8View') AS v, arrow_cast('b', 'Dictionary(Int32, Utf8)') AS d")
        table = cursor.fetch_arrow_table()
        assert table.schema.types == [pyarrow.string(), pyarrow.string()], table.schema
        assert table.to_pylist() == [{"v": "a", "d": "b"}]

        schema = cursor.adbc_execute_schema("SELECT 1 AS one, 2.5 AS number")
        assert schema.names == ["one", "number"], schema
        assert cursor.adbc_prepare("SELECT 1 AS one") == pyarrow.schema([])


def parameters(uri):
    with connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT value FROM generate_series(1, 9) WHERE value BETWEEN ? AND ?", parameters=(3, 5))
        assert cursor.fetchall() == [(3,), (4,), (5,)]
        cursor.execute(
            "SELECT ? AS text, ? AS real, ? AS day, ? AS money, ? AS nothing, CAST(? AS date) AS read",
            parameters=("it's", 1.5, datetime.date(2026, 1, 2), decimal.Decimal("1.50"), None, "2026-02-03"),
        )
        assert cursor.fetchall() == [
            ("it's", 1.5, datetime.date(2026, 1, 2), decimal.Decimal("1.50"), None, datetime.date(2026, 2, 3))
        ]
        # Rows of values: the statement runs for each.
        rows = pyarrow.record_batch([pyarrow.array([1, 2, 3])], names=["anything"])
        cursor.execute("SELECT $1 * 10 AS n", parameters=rows)
        assert cursor.fetchall() == [(10,), (20,), (30,)]
        assert cursor.adbc_prepare("SELECT CAST(? AS bigint) AS n") == pyarrow.schema([("$1", pyarrow.int64())])
        try:
            cursor.execute("SELECT ? AS n", parameters=(1, 2))
            raise AssertionError("two values for one parameter")
        except adbc.ProgrammingError as error:
            assert "1 parameter, and values for 2" in str(error), error


def options(uri):
    with connect(uri) as connection:
        connection.adbc_connection.set_options(**{"adbc.connection.catalog": "system"})
        connection.adbc_connection.set_options(**{"adbc.connection.db_schema": "runtime"})
        assert connection.adbc_current_catalog == "system"
        assert connection.adbc_current_db_schema == "runtime"
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) > 0 AS seen FROM queries")
            assert cursor.fetchall() == [(True,)]


def sessions(uri):
    def pushdown(connection):
        with connection.cursor() as cursor:
            cursor.execute("SHOW pushdown")
            return cursor.fetchall()

    # What a connection sets holds for that connection.
    with connect(uri) as one, connect(uri) as other:
        with one.cursor() as cursor:
            cursor.executescript("SET SESSION pushdown = 'none'; SET SESSION batch_rows = 100;")
        assert pushdown(one) == [("none",)]
        assert pushdown(other) == [("all",)]
        # The same as a query.
        with other.cursor() as cursor:
            cursor.execute("SET SESSION pushdown = 'none'")
            assert cursor.fetchall() == []
        assert pushdown(other) == [("none",)]

    # With a login, and with cookies.
    login = {"username": "anybody", "password": "anything"}
    cookies = {"adbc.flight.sql.rpc.with_cookie_middleware": "true"}
    for options in [login, cookies]:
        with connect(uri, db_kwargs=options) as connection:
            assert pushdown(connection) == [("all",)]
            with connection.cursor() as cursor:
                cursor.executescript("SET SESSION pushdown = 'none'")
            assert pushdown(connection) == [("none",)]


def writing(uri):
    def rows(cursor, sql):
        cursor.execute(sql)
        return cursor.fetchall()

    with connect(uri) as connection, connection.cursor() as cursor:
        # As an update, and as a query whose answer is the number of rows.
        cursor.executescript("USE mem.default; CREATE TABLE parts (id bigint NOT NULL, made date, weight decimal(6,2))")
        cursor.execute("INSERT INTO parts VALUES (1, DATE '2026-01-02', 1.5)")
        assert cursor.fetchall() == [(1,)]
        # Parameters have the types of the columns.
        expected = pyarrow.schema(
            [("$1", pyarrow.int64()), ("$2", pyarrow.date32()), ("$3", pyarrow.decimal128(6, 2))]
        )
        assert cursor.adbc_prepare("INSERT INTO parts VALUES (?, ?, ?)") == expected
        cursor.executemany(
            "INSERT INTO parts VALUES (?, ?, ?)",
            [(2, datetime.date(2026, 1, 3), decimal.Decimal("2.25")), (3, None, None)],
        )
        assert cursor.rowcount == 2, cursor.rowcount
        assert rows(cursor, "SELECT * FROM parts ORDER BY id") == [
            (1, datetime.date(2026, 1, 2), decimal.Decimal("1.50")),
            (2, datetime.date(2026, 1, 3), decimal.Decimal("2.25")),
            (3, None, None),
        ]

        # Bulk ingest: a new table, more rows, other columns by name, another table in its place.
        def batches(first, count):
            for start in range(first, first + count, 1000):
                ids = range(start, start + 1000)
                yield pyarrow.record_batch(
                    [pyarrow.array(ids, pyarrow.int64()), pyarrow.array([f"n{i}" for i in ids])], names=["id", "name"]
                )

        def reader(first, count):
            schema = pyarrow.schema([("id", pyarrow.int64()), ("name", pyarrow.string())])
            return pyarrow.RecordBatchReader.from_batches(schema, batches(first, count))

        place = {"catalog_name": "mem", "db_schema_name": "default"}
        assert cursor.adbc_ingest("bulk", reader(0, 50000), mode="create", **place) == 50000
        assert cursor.adbc_ingest("bulk", reader(50000, 20000), mode="append", **place) == 20000
        assert rows(cursor, "SELECT count(*), min(id), max(id), count(DISTINCT name) FROM bulk") == [
            (70000, 0, 69999, 70000)
        ]
        more = pyarrow.table({"NAME": ["x"], "Id": pyarrow.array([-1], pyarrow.int32())})
        assert cursor.adbc_ingest("bulk", more, mode="create_append", **place) == 1
        assert rows(cursor, "SELECT * FROM bulk WHERE id < 0") == [(-1, "x")]
        assert cursor.adbc_ingest("bulk", pyarrow.table({"a": [1.5, None]}), mode="replace", **place) == 2
        assert rows(cursor, "SELECT * FROM bulk ORDER BY a") == [(1.5,), (None,)]

        # The session's place serves where the client names none.
        assert cursor.adbc_ingest("here", pyarrow.table({"a": [1]}), mode="create") == 1

        for table, mode, status, text in [
            ({"a": [1]}, "create", adbc.AdbcStatusCode.ALREADY_EXISTS, "exists already"),
            ({"a": ["text"]}, "append", adbc.AdbcStatusCode.INVALID_ARGUMENT, "column a is double"),
            ({"b": [1.0]}, "append", adbc.AdbcStatusCode.NOT_FOUND, 'no column "b"'),
        ]:
            try:
                cursor.adbc_ingest("bulk", pyarrow.table(table), mode=mode, **place)
                raise AssertionError(f"{table} was taken")
            except adbc.Error as error:
                assert error.status_code == status and text in str(error), error
        try:
            cursor.adbc_ingest("nothing", pyarrow.table({"a": [1]}), mode="append", **place)
            raise AssertionError("there is no such table")
        except adbc.Error as error:
            assert error.status_code == adbc.AdbcStatusCode.NOT_FOUND, error
        try:
            cursor.adbc_ingest("t", pyarrow.table({"a": [1]}), catalog_name="system", db_schema_name="runtime")
            raise AssertionError("system was written")
        except adbc.Error as error:
            assert error.status_code == adbc.AdbcStatusCode.NOT_IMPLEMENTED, error

        # A client that breaks off leaves nothing.
        def broken():
            yield from batches(0, 30000)
            raise RuntimeError("the client's own trouble")

        schema = pyarrow.schema([("id", pyarrow.int64()), ("name", pyarrow.string())])
        try:
            source = pyarrow.RecordBatchReader.from_batches(schema, broken())
            cursor.adbc_ingest("half", source, mode="create", **place)
            raise AssertionError("the stream was broken")
        except Exception as error:
            assert "own trouble" in str(error), error

    with connect(uri) as connection, connection.cursor() as cursor:
        assert rows(cursor, "SHOW TABLES FROM mem.default LIKE 'half'") == []
        cursor.executescript("USE mem.default; DROP TABLE bulk; DROP TABLE here; DROP TABLE parts")
        assert rows(cursor, "SHOW TABLES") == []


def postgres(uri):
    def rows(cursor, sql):
        cursor.execute(sql)
        return cursor.fetchall()

    with connect(uri) as connection, connection.cursor() as cursor:
        place = {"catalog_name": "pg", "db_schema_name": "public"}

        def reader(first, count):
            schema = pyarrow.schema([("id", pyarrow.int64()), ("name", pyarrow.string())])
            batches = (
                pyarrow.record_batch([pyarrow.array(range(at, at + 1000), pyarrow.int64()), [f"n{i}" for i in range(at, at + 1000)]], schema)
                for at in range(first, first + count, 1000)
            )
            return pyarrow.RecordBatchReader.from_batches(schema, batches)

        assert cursor.adbc_ingest("bulk", reader(0, 50000), mode="create", **place) == 50000
        assert cursor.adbc_ingest("bulk", reader(50000, 20000), mode="append", **place) == 20000
        expected = [(70000, 0, 69999, 70000)]
        assert rows(cursor, "SELECT count(*), min(id), max(id), count(DISTINCT name) FROM pg.public.bulk") == expected
        more = pyarrow.table({"NAME": ["x"], "Id": pyarrow.array([-1], pyarrow.int32())})
        assert cursor.adbc_ingest("bulk", more, mode="create_append", **place) == 1
        assert rows(cursor, "SELECT * FROM pg.public.bulk WHERE id < 0") == [(-1, "x")]
        try:
            cursor.adbc_ingest("bulk", pyarrow.table({"a": [1]}), mode="create", **place)
            raise AssertionError("there is such a table")
        except adbc.Error as error:
            assert error.status_code == adbc.AdbcStatusCode.ALREADY_EXISTS, error

        # Changes tell how many rows they change, also where values are bound.
        cursor.executemany("UPDATE pg.public.bulk SET name = ? WHERE id = ?", [("one", 1), ("two", 2), ("none", -7)])
        assert cursor.rowcount == 2, cursor.rowcount
        assert rows(cursor, "SELECT name FROM pg.public.bulk WHERE id IN (1, 2) ORDER BY id") == [("one",), ("two",)]
        assert rows(cursor, "DELETE FROM pg.public.bulk WHERE id >= 60000") == [(10000,)]
        assert cursor.adbc_prepare("DELETE FROM pg.public.bulk WHERE name = ?") == pyarrow.schema([("$1", pyarrow.string())])

        table = pyarrow.table(
            {
                "f": [1.5, None],
                "when": pyarrow.array([datetime.datetime(2026, 1, 2, 3, 4, 5, 6), None], pyarrow.timestamp("us", "UTC")),
                "tags": pyarrow.array([["a", None], []], pyarrow.list_(pyarrow.string())),
                "word": pyarrow.array(["x", None]).dictionary_encode(),
                "cost": pyarrow.array([decimal.Decimal("1.50"), None], pyarrow.decimal128(10, 2)),
            }
        )
        assert cursor.adbc_ingest("bulk", table, mode="replace", **place) == 2
        cursor.execute("SELECT * FROM pg.public.bulk ORDER BY f")
        assert cursor.fetch_arrow_table().to_pylist() == table.to_pylist()

        # A client that breaks off leaves nothing.
        def broken():
            yield from reader(0, 30000)
            raise RuntimeError("the client's own trouble")

        schema = pyarrow.schema([("id", pyarrow.int64()), ("name", pyarrow.string())])
        try:
            source = pyarrow.RecordBatchReader.from_batches(schema, broken())
            cursor.adbc_ingest("half", source, mode="create", **place)
            raise AssertionError("the stream was broken")
        except Exception as error:
            assert "own trouble" in str(error), error
        assert rows(cursor, "SHOW TABLES FROM pg.public LIKE 'half'") == []


def errors(uri):
    def failure(cursor, sql):
        try:
            cursor.execute(sql)
            cursor.fetchall()
        except adbc.Error as error:
            return error
        raise AssertionError(f"{sql} succeeded")

    with connect(uri) as connection, connection.cursor() as cursor:
        error = failure(cursor, "SELECT 1\n  FORM t")
        assert isinstance(error, adbc.ProgrammingError), error
        assert error.status_code == adbc.AdbcStatusCode.INVALID_ARGUMENT, error
        assert "syntax error" in str(error) and "LINE 2:   FORM t\n               ^" in str(error), error

        error = failure(cursor, "SELECT * FROM nowhere.s.t")
        assert isinstance(error, adbc.ProgrammingError), error
        assert error.status_code == adbc.AdbcStatusCode.NOT_FOUND, error

        # In the middle of the rows.
        error = failure(cursor, "SELECT 10 / (value - 50000) AS x FROM generate_series(1, 100000)")
        assert error.status_code == adbc.AdbcStatusCode.INVALID_ARGUMENT, error
        assert "division by zero" in str(error).lower(), error

        error = failure(cursor, "TRUNCATE TABLE t")
        assert error.status_code == adbc.AdbcStatusCode.NOT_IMPLEMENTED, error

        cursor.execute("SELECT 1 AS one")
        assert cursor.fetchall() == [(1,)]


def streaming(uri):
    with connect(uri) as connection, connection.cursor() as cursor:
        # The first rows of more than any machine makes.
        cursor.execute("SELECT value FROM generate_series(1, 100000000000)")
        reader = cursor.fetch_record_batch()
        expected = 1
        for _ in range(20):
            batch = reader.read_next_batch()
            assert batch.column(0)[0].as_py() == expected
            expected += batch.num_rows
        cursor.adbc_cancel()

    with connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT value, repeat('x', 1000) AS text FROM generate_series(1, 50000)")
        table = cursor.fetch_arrow_table()
        assert table.num_rows == 50000
        assert table.column("value").to_pylist() == list(range(1, 50001))


def metadata(uri):
    with connect(uri) as connection:
        info = connection.adbc_get_info()
        assert info["vendor_name"] == "portolan", info

        assert sorted(connection.adbc_get_table_types()) == ["BASE TABLE", "VIEW"]

        objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
        names = sorted(catalog["catalog_name"] for catalog in objects)
        assert names == ["events", "lake", "mem", "own", "pg", "system"], names

        objects = connection.adbc_get_objects(
            depth="all", catalog_filter="pg", db_schema_filter="pub%", table_name_filter="c%"
        )
        (catalog,) = [entry for entry in objects.read_all().to_pylist() if entry["catalog_db_schemas"]]
        (schema,) = catalog["catalog_db_schemas"]
        (table,) = schema["db_schema_tables"]
        assert (catalog["catalog_name"], schema["db_schema_name"]) == ("pg", "public")
        assert (table["table_name"], table["table_type"]) == ("customers", "BASE TABLE")
        names = [column["column_name"] for column in table["table_columns"]]
        assert names == [
            "customer_id",
            "name",
            "email",
            "country",
            "segment",
            "newsletter",
            "signed_up",
        ], names

        schema = connection.adbc_get_table_schema("customers", catalog_filter="pg", db_schema_filter="public")
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM pg.public.customers WHERE customer_id < 5 ORDER BY customer_id")
            table = cursor.fetch_arrow_table()
        assert table.num_rows > 0
        assert schema.names == table.schema.names, schema
        assert schema.types == table.schema.types, (schema, table.schema)


if __name__ == "__main__":
    uri, part = sys.argv[1:]
    parts = [statements, writing, postgres, parameters, options, sessions, errors, streaming, metadata]
    {function.__name__: function for function in parts}[part](uri)
    print(f"{part}: ok")
