# Read by the commands beside it: where things are, and what a host's PostgreSQL says that it is.

programs=/usr/lib/postgresql/18/bin
data=/var/lib/checkout/postgresql
own=$(hostname -s)

# The names in synchronous_standby_names, which are those of all hosts.
hosts=$(sed -n "s/^synchronous_standby_names *= *'ANY 1 (\(.*\))'.*/\1/p" /etc/checkout/postgresql.conf | tr ',' ' ')
if [ -z "$hosts" ]; then
    echo "/etc/checkout/postgresql.conf has no line synchronous_standby_names = 'ANY 1 (…)', which names all hosts" >&2
    exit 1
fi

# "primary-confirmed 7", "primary-unconfirmed 7", "read-only 7" or "standby 7": what it is, and its timeline. Empty: no answer.
ask() {
    PGCONNECT_TIMEOUT=2 "$programs/psql" --no-psqlrc --no-password --tuples-only --no-align \
        "host=$1 user=checkout_probe dbname=postgres" --command 'SELECT checkout_probe()' 2>/dev/null || true
}

# As the superuser, on this host's own server.
here() {
    "$programs/psql" --host /run/postgresql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 \
        --dbname postgres "$@"
}

own_timeline() {
    "$programs/pg_controldata" "$data" | sed -n "s/^Latest checkpoint's TimeLineID: *//p"
}
