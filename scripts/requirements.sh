# shellcheck shell=sh
# What ./demo and ./test need on this machine: looks for it, says what is missing, installs only that.
# To be sourced. Uses apt-get where there is one; elsewhere it names what to install by hand.

# What is installed here outlives a checkout.
PORTOLAN_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/portolan"

# The Python environment with the stand-in for a Kafka broker, and with the clients that the tests drive.
PORTOLAN_ENVIRONMENT="$PORTOLAN_CACHE/broker"

say() {
    printf '==> %s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

require_rust() {
    has cargo || fail "cargo is not on PATH. Install Rust 1.94 or newer from https://rustup.rs, then run this again."
}

# The newest PostgreSQL programs, as the engine's own tests look for them.
has_postgresql() {
    if [ -n "${PORTOLAN_POSTGRES_BIN:-}" ]; then
        [ -x "$PORTOLAN_POSTGRES_BIN/initdb" ]
        return
    fi
    for program in /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$program" ] && return
    done
    has initdb && has postgres && has psql
}

# The Debian packages that are missing, each after a space, postgresql last. The compilers build librdkafka, the Kafka client library;
# it brings its own zlib and zstd.
missing_packages() {
    has cc || printf ' gcc libc6-dev'
    has c++ || printf ' g++'
    has make || printf ' make'
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || printf ' python3-venv'
    has ps || printf ' procps'
    has_postgresql || printf ' postgresql'
}

# Debian starts a PostgreSQL server of its own when the package is installed. Neither the demo nor the tests use it: they
# start private ones. So the package is told not to, for the time of the installation.
install_postgresql() {
    settings=/etc/postgresql-common/createcluster.conf
    as_root apt-get install -qq --yes --no-install-recommends postgresql-common >/dev/null || return
    kept=$(mktemp)
    cp "$settings" "$kept" || return
    say "Installing postgresql, without the server on port 5432 that Debian would start"
    as_root sh -c "echo 'create_main_cluster = false' >> $settings" || return
    outcome=0
    as_root apt-get install -qq --yes --no-install-recommends postgresql >/dev/null || outcome=$?
    as_root cp "$kept" "$settings"
    rm -f "$kept"
    return "$outcome"
}

require_packages() {
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    has apt-get || fail "this machine has no apt-get. Install what these Debian packages hold, then run this again:$missing"
    [ "$(id -u)" -eq 0 ] || has sudo || fail "not root, and no sudo. Have these installed, then run this again: apt-get install$missing"
    say "Installing with apt-get:$missing"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    # The names are words without spaces.
    # shellcheck disable=SC2086
    as_root apt-get install -qq --yes --no-install-recommends ${missing% postgresql} >/dev/null ||
        fail "apt-get could not install$missing: its messages are above"
    case $missing in
    *" postgresql") install_postgresql || fail "apt-get could not install postgresql: its messages are above" ;;
    esac
    missing=$(missing_packages)
    [ -z "$missing" ] || fail "still missing after the installation:$missing"
}

# A pooler for the tests of the PostgreSQL connector. Debian would start one on port 6432, which nobody uses.
require_pgbouncer() {
    { has pgbouncer || [ -x /usr/sbin/pgbouncer ]; } && return 0
    has apt-get || fail "this machine has no apt-get. Install PgBouncer, then run this again"
    say "Installing with apt-get: pgbouncer"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    as_root apt-get install -qq --yes --no-install-recommends pgbouncer >/dev/null ||
        fail "apt-get could not install pgbouncer: its messages are above"
    if has systemctl; then
        as_root systemctl disable --now pgbouncer >/dev/null 2>&1 || true
    fi
}

# Makes a Python environment hold what a file of pinned requirements lists: $1 in the directory scripts, in the environment $2, or
# else in the one of all tests.
require_python() {
    list="scripts/$1"
    environment="${2:-$PORTOLAN_ENVIRONMENT}"
    if [ -d "$environment" ] && ! "$environment/bin/python" -c '' 2>/dev/null; then
        say "Making $environment anew: its Python does not run any more"
        rm -rf "$environment"
    fi
    # A copy of the list is left in the environment when everything in it is installed.
    cmp -s "$list" "$environment/$1" && return
    say "Installing into $environment: $(grep -v '^#' "$list" | tr '\n' ' ')"
    mkdir -p "$(dirname "$environment")"
    [ -d "$environment" ] || python3 -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$list"
    cp "$list" "$environment/$1"
}

# The stand-in for a Kafka broker, unless the caller has one.
require_broker() {
    [ -z "${PORTOLAN_NOIDA_DB:-}" ] || return 0
    require_python requirements-broker.txt
    export PORTOLAN_NOIDA_DB="$PORTOLAN_ENVIRONMENT/bin/noida-db"
}

# Java 17, on which the Hive Metastore of the tests runs.
has_java() {
    [ -z "${PORTOLAN_JAVA:-}" ] || return 0
    for program in /usr/lib/jvm/java-17-*/bin/java; do
        [ -x "$program" ] && return
    done
    has java
}

# A Hive Metastore for the tests: Java, and jars that a package of Python's brings. Nothing of it is ever run as Spark.
require_metastore() {
    if ! has_java; then
        has apt-get || fail "this machine has no apt-get. Install a Java 17 runtime, then run this again"
        say "Installing with apt-get: openjdk-17-jre-headless"
        export DEBIAN_FRONTEND=noninteractive
        as_root apt-get update -qq
        as_root apt-get install -qq --yes --no-install-recommends openjdk-17-jre-headless >/dev/null ||
            fail "apt-get could not install openjdk-17-jre-headless: its messages are above"
    fi
    [ -z "${PORTOLAN_METASTORE_JARS:-}" ] || return 0
    # The download has 300 MB: a copy in pip's cache would be of no use.
    (
        export PIP_NO_CACHE_DIR=1
        require_python requirements-metastore.txt "$PORTOLAN_CACHE/metastore"
    )
}

# The command line client of the crate arrow-flight, of the version that Cargo.lock has, unless the caller has one.
require_flight_sql_client() {
    [ -z "${PORTOLAN_TEST_FLIGHT_SQL_CLIENT:-}" ] || return 0
    version=$(sed -n '/^name = "arrow-flight"$/{n;s/^version = "\(.*\)"$/\1/p;}' Cargo.lock)
    directory="$PORTOLAN_CACHE/flight_sql_client-$version"
    export PORTOLAN_TEST_FLIGHT_SQL_CLIENT="$directory/bin/flight_sql_client"
    [ -x "$PORTOLAN_TEST_FLIGHT_SQL_CLIENT" ] && return
    say "Installing flight_sql_client $version into $directory; this takes a minute or two"
    rm -rf "$PORTOLAN_CACHE"/flight_sql_client-*
    # Built in a temporary directory: what it is made of is not what this project is built with.
    env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 cargo install arrow-flight --version "=$version" --locked --quiet --debug \
        --features cli,flight-sql,tls-ring --bin flight_sql_client --root "$directory"
}
