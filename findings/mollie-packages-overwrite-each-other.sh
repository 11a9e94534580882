#!/bin/sh
# mollie-api-py 1.10.20 and mollie-api-python 4.0.0: both are Mollie's, and both own the file mollie/__init__.py.
#
# pip installs them side by side without a word. The one that comes second overwrites the file: that of mollie-api-python
# is empty, so "from mollie import ClientSDK" of the other's README fails from then on. To uninstall the second one
# takes the file away, and pip still lists the first as installed. A project can use one of them alone, and an
# environment that had both has to be made anew.
#
# Seen: ClientSDK is there after the first, gone after the second, and gone with the file after the second went.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for package in mollie-api-py==1.10.20 mollie-api-python==4.0.0; do
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$package" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
    "$folder/venv/bin/python" -c 'import mollie; print("there" if hasattr(mollie, "ClientSDK") else "gone")' >>"$folder/seen"
done
printf 'mollie.ClientSDK of mollie-api-py, before and after mollie-api-python came: %s\n' "$(tr '\n' ' ' <"$folder/seen")"
test "$(tr '\n' ' ' <"$folder/seen")" = "there gone " || { echo "the behaviour has changed"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import files

owners = [name for name in ("mollie-api-py", "mollie-api-python") if any(str(each) == "mollie/__init__.py" for each in files(name))]
print("mollie/__init__.py is of", " and of ".join(owners))
assert len(owners) == 2, "the behaviour has changed"
PYTHON
"$folder/venv/bin/pip" uninstall --quiet --yes --disable-pip-version-check mollie-api-python >>"$folder/log" 2>&1
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path
from sysconfig import get_paths

left = Path(get_paths()["purelib"], "mollie/__init__.py").exists()
print(f"after mollie-api-python was uninstalled: mollie-api-py {version('mollie-api-py')} is listed, its file",
      "is there" if left else "is gone")
assert not left, "the behaviour has changed"
PYTHON
