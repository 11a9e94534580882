#!/bin/sh
# redis-py 8.1.0: `import redis` loads the metrics part of opentelemetry wherever that package is installed, before any
# setting of it is made and with OTEL_SDK_DISABLED=true as well. A program that traces only on demand, and imports
# redis, has paid for it by then. Celery's command line does so before it reads the program's own module, where a plug-in
# of it is installed that imports redis, as Flower's does.
#
# Seen: "without opentelemetry: 8.1.0 0 False" and "with it: 8.1.0 61 True": 61 modules, opentelemetry.sdk among them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
python="$folder/environment/bin/python"

count() {
    OTEL_SDK_DISABLED=true "$python" -c '
import sys
import redis
loaded = [name for name in sys.modules if name.split(".")[0] == "opentelemetry"]
print(redis.__version__, len(loaded), "opentelemetry.sdk" in sys.modules)'
}

"$python" -m pip install --quiet --disable-pip-version-check redis==8.1.0
without=$(count)
"$python" -m pip install --quiet --disable-pip-version-check opentelemetry-api==1.45.2 opentelemetry-sdk==1.45.2
with=$(count)
echo "without opentelemetry: $without"
echo "with it: $with"
[ "$without" = "8.1.0 0 False" ] || exit 1
case $with in
"8.1.0 0 "*) exit 1 ;;
"8.1.0 "*" True") ;;
*) exit 1 ;;
esac
