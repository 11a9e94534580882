"""The environment file: one grammar, which sh reads as we do; and whatever is read otherwise is refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout_service.settings.environment_file import (
    LARGEST_FILE,
    LONGEST_LINE,
    MOST_FAULTS,
    NAME,
    EnvironmentFileError,
    parse,
    read_environment_file,
)

SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]
ENV = shutil.which("env") or "/usr/bin/env"

LINES = st.one_of(
    st.builds("{}={}".format, st.from_regex(NAME, fullmatch=True), st.text(max_size=20)),
    st.builds(
        "{}={}".format,
        st.from_regex(NAME, fullmatch=True),
        st.text("aZ09!#%*+,-./:=?@[]^_{}äÁ漢 ~$\"'\\&", max_size=20),
    ),
    st.builds("#{}".format, st.text(max_size=20)),
    st.text(max_size=20),
)


def by_shell(shell: str, path: Path) -> dict[str, str]:
    """What the shell has its children see of a file, in an environment that holds nothing else."""
    done = subprocess.run(
        [shell, "-c", 'set -a; . "$1"; exec "$2" -0', shell, str(path), ENV],
        env={},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    pairs = [pair.partition(b"=") for pair in done.stdout.split(b"\0") if pair]
    own = {"PWD", "OLDPWD", "SHLVL", "_"}
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs if os.fsdecode(name) not in own}


def by_docker(content: bytes) -> dict[str, str]:
    """What docker's --env-file makes of it, by its rules (docs/command-line.md)."""
    found = {}
    for line in content.split(b"\n"):
        text = line.removesuffix(b"\r").decode().lstrip()
        if text and not text.startswith("#"):
            name, _, value = text.partition("=")
            found[name] = value
    return found


def by_systemd(content: bytes) -> dict[str, str]:
    """What systemd's EnvironmentFile makes of it, by its rules (docs/command-line.md)."""
    found = {}
    joined = re.sub(r"\\\n", "", content.decode())
    for line in re.split(r"[\n\r]", joined):
        text = line.strip(" \t")
        if text and text[0] not in "#;" and "=" in text:
            name, _, value = text.partition("=")
            value = re.sub(r"\\(.)", r"\1", value.strip(" \t"))
            found[name.strip(" \t")] = re.sub(r"^(['\"])(.*)\1$", r"\2", value)
    return found


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])
@given(lines=st.lists(LINES, max_size=4))
def test_what_is_accepted_all_readers_read_alike(tmp_path: Path, shell: str, lines: list[str]) -> None:
    content = "\n".join(lines).encode(errors="surrogatepass")
    try:
        found = parse(content, name="file")
    except EnvironmentFileError:
        return
    path = tmp_path / "file"
    path.write_bytes(content)

    assert by_shell(shell, path) == found
    assert by_docker(content) == found
    assert by_systemd(content) == found


@pytest.mark.parametrize("shell", SHELLS)
def test_every_character_that_is_accepted_is_one_in_sh(tmp_path: Path, shell: str) -> None:
    """In the middle of a value, at its beginning and at its end."""
    accepted = []
    for code in (*range(1, 0x250), 0x20AC, 0x3000, 0xA0, 0x2028, 0xFEFF, 0x1F600):
        character = chr(code)
        try:
            found = parse(f"A=x{character}y\nB={character}y\nC=x{character}\n".encode(), name="file")
        except EnvironmentFileError:
            continue
        assert found == {"A": f"x{character}y", "B": f"{character}y", "C": f"x{character}"}
        accepted.append(character)
    # The one at a beginning is refused, a comment in some readers; so it is tried alone.
    assert {*"azAZ09!%*+,-./:=?@[]^_{}", "ä", "€"} <= {*accepted}
    assert {*" \t\n\r\"'\\$`~;&|<>()#", "\u00a0", "\u2028"}.isdisjoint(accepted)
    path = tmp_path / "file"
    lines = {f"A{number}": f"x{character}y" for number, character in enumerate(accepted)}
    lines |= {f"B{number}": f"{character}y" for number, character in enumerate(accepted)}
    lines |= {f"C{number}": f"x{character}" for number, character in enumerate(accepted)}
    path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))

    assert by_shell(shell, path) == lines
    assert by_systemd(path.read_bytes()) == by_docker(path.read_bytes()) == lines


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"A='x'", "a quotation mark"),
        (b'A="x"', "a quotation mark"),
        (b"A=$B", "a $"),
        (b"A=`id`", "a `"),
        (b"A=x\\", "a backslash"),
        (b"A=a b", "a space"),
        (b"A=a ", "a space"),
        (b"A= a", "a space"),
        (b"A =a", "before the ="),
        (b" A=a", "before the name"),
        (b"\tA=a", "before the name"),
        (b"   ", "holds spaces alone"),
        (b"export A=a", "export"),
        (b"A", "has no ="),
        (b"=a", "has no name"),
        (b"a=a", "A to Z"),
        (b"1A=a", "A to Z"),
        (b"A-B=a", "A to Z"),
        (b"A\x00=a", "A to Z"),
        (b"; A=a", "A to Z"),
        (b"A=a;id", "a ;"),
        (b"A=a&b=c", "an &"),
        (b"A=a|b", "a |"),
        (b"A=<a", "a <"),
        (b"A=a(b)", "a ("),
        (b"A=~root", "a ~"),
        (b"A=#a", "begins with #"),
        (b"A=a\x00b", "a NUL"),
        (b"A=a\x1bb", "control character"),
        (b"A=a\r", "Windows"),
        (b"A=\xff", "not UTF-8"),
        (b"\xef\xbb\xbfA=a", "byte order mark"),
        (b"# a \\", "backslash"),
        (b"# a\x00", "NUL"),
        (b"IFS=a", "a shell keeps for itself"),
        (b"UID=1", "a shell keeps for itself"),
        (b"BASH_ENV=a", "a shell keeps for itself"),
        (b"A=" + b"a" * LONGEST_LINE, "bytes"),
    ],
)
def test_what_is_read_otherwise_somewhere_is_refused_with_its_line(line: bytes, word: str) -> None:
    content = b"# fine\nFINE=1\n" + line + b"\nALSO_FINE=2\n"
    with pytest.raises(EnvironmentFileError) as caught:
        parse(content, name="/etc/checkout.env")
    (message,) = str(caught.value).splitlines()
    assert message.startswith("/etc/checkout.env, line 3: ")
    assert word in message


def test_a_name_is_set_once() -> None:
    with pytest.raises(EnvironmentFileError, match=r"file, line 2: sets A once more"):
        parse(b"A=1\nA=1\n", name="file")


def test_no_value_is_shown_and_faults_have_a_bound() -> None:
    with pytest.raises(EnvironmentFileError) as caught:
        parse(b"SECRET=sesame sesame\n" * 1000, name="file")
    lines = str(caught.value).splitlines()
    assert len(lines) == MOST_FAULTS
    assert "sesame" not in str(caught.value)


def test_an_empty_value_an_empty_file_and_a_last_line_without_its_end() -> None:
    assert parse(b"", name="file") == {}
    assert parse(b"A=\nB=1", name="file") == {"A": "", "B": "1"}


def test_what_is_no_readable_file_of_a_bounded_size_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"#" * (LARGEST_FILE + 1))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, word in (
        (str(large), "bytes"),
        (str(pipe), "is no file"),
        ("/dev/zero", "is no file"),
        (str(tmp_path), "is no file"),
        (str(tmp_path / "none"), "No such file"),
        ("a\0b", "NUL"),
    ):
        with pytest.raises(EnvironmentFileError, match=word):
            read_environment_file(path)


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_file_that_everybody_may_read_has_a_warning(tmp_path: Path, mode: int, *, warns: bool) -> None:
    path = tmp_path / "file"
    path.write_text("A=1\n")
    path.chmod(mode)
    values, warning = read_environment_file(str(path))
    assert values == {"A": "1"}
    assert (warning is not None) is warns
