"""The script that freezes outputs: its substitutions, its diffs, and the parts that need no store."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.tests.support import frozen_outputs as frozen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-29T21:42:00.807532Z [warning  ] x", "<STAMP> [warning  ] x"),
        ("2026-11-29 21:47:55 [critical ] the store", "<STAMP> [critical ] the store"),
        ("http://127.0.0.1:40123/x", "http://127.0.0.1:<PORT>/x"),
        ("12 days of 1 sites in 3.4 s", "12 days of 1 sites in <SECONDS> s"),
        ('"durationSeconds": 5.919288963999861,', '"durationSeconds": <SECONDS>,'),
        ("06:00 schedule success  1.0   6588", "06:00 schedule success <SECONDS>   6588"),
        ("06:00 schedule success 12.0   6588", "06:00 schedule success <SECONDS>   6588"),
        ("52      0 4.6  5.9", "52      0 4.6 <SECONDS>"),
        ('etag: W/"a60f3d6b284f3fb183a8201b"', 'etag: W/"<TAG>"'),
        ("/tmp/a/b/slip.env and /tmp/a", "<INNER>/slip.env and <OUTER>"),
    ],
)
def test_a_text_that_varies_gets_a_name(text: str, expected: str) -> None:
    assert frozen.normalised(text, {"/tmp/a": "<OUTER>", "/tmp/a/b": "<INNER>"}) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"startTime": "2026-06-20T06:00:05Z"',
        "2026-06-20 06:00 UTC",
        "wrong by 3.3 km/h on average",
        "my_wrf                  3  5.3 4.9…5.8 +0.0  -0.7…0.8   53 %      3 % -0.13   84",
        '"ageSeconds": 46800.0',
        "lines,12.5,13.5",
    ],
)
def test_other_times_and_numbers_stay(text: str) -> None:
    assert frozen.normalised(text) == text


def test_equal_outputs_have_no_differences() -> None:
    assert frozen.differences({"a.txt": "1\n"}, {"a.txt": "1\n"}) == []


def test_each_file_that_differs_has_a_diff() -> None:
    before = {"changed.txt": "1\n2\n", "gone.txt": "x\n", "same.txt": "x\n"}
    after = {"changed.txt": "1\n3\n", "new.txt": "x\n", "same.txt": "x\n"}
    changed, gone, new = frozen.differences(before, after)
    assert "-2\n+3" in changed
    assert "before/gone.txt" in gone
    assert "(no such file after)" in gone
    assert "(no such file before)" in new


def test_the_end_of_a_long_diff_is_counted() -> None:
    lines = 3 * frozen.LINES_SHOWN
    (found,) = frozen.differences({"a.txt": "x\n" * lines}, {"a.txt": "y\n" * lines})
    shown = found.splitlines()
    assert len(shown) == frozen.LINES_SHOWN + 1
    # Two lines of title and one of position, every line of before and every one of after.
    assert shown[-1] == f"... and {3 + 2 * lines - frozen.LINES_SHOWN} more lines of a.txt"


def test_line_ends_alone_are_a_difference() -> None:
    (found,) = frozen.differences({"a.txt": "1\n"}, {"a.txt": "1\r\n"})
    assert "a.txt" in found


def test_two_folders_are_compared_part_by_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, text in (("before", "1\n"), ("after", "2\n")):
        frozen.write_texts(tmp_path / folder, {"help/a.txt": text, "methodology/b.md": "same\n"})
    folders = [str(tmp_path / "before"), str(tmp_path / "after")]
    assert frozen.main(["compare", *folders, "--only", "methodology"]) == 0
    assert frozen.main(["compare", *folders]) == 1
    assert "-1\n+2" in capsys.readouterr().out
    assert frozen.main(["compare", str(tmp_path), folders[1]]) == 2


def test_commands_are_read_from_a_page_of_help() -> None:
    lines = (
        *("╭─ Options ─────────╮", "│ --help  Show help │", "╰───────────────────╯"),
        *("╭─ Commands ────────╮", "│ add-it  Add it to │", "│         this.     │", "│ go      Go.       │"),
        "╰───────────────────╯",
    )
    page = "\n".join(lines)
    assert frozen.commands_in(page) == ["add-it", "go"]


def test_every_command_has_its_page_of_help(tmp_path: Path) -> None:
    pages = frozen.help_pages(tmp_path)
    assert {"meteo-score.txt", "meteo-score-score.txt", "meteo-score-export-pairs.txt"} <= set(pages)
    for name, page in pages.items():
        assert " Usage: meteo-score " in page, name
        assert max(map(len, page.splitlines())) <= frozen.WIDTH


def test_wrong_calls_are_refused_in_words(tmp_path: Path) -> None:
    (text,) = frozen.wrong_calls(tmp_path).values()
    text = frozen.normalised(text, {str(tmp_path): "<FOLDER>"})
    assert text.count("\nexit code ") >= 30
    assert "exit code 0" not in text
    assert "Traceback" not in text
    assert "python -m" not in text  # the usage lines name the command as an operator types it
    assert str(tmp_path) not in text
