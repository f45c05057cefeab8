"""Which reading of a CSV is taken: without Spark."""

from __future__ import annotations

import pytest

from synthspark.errors import SourceError
from synthspark.sources.delimited import WESTERN, WINDOWS_1252, decoded
from synthspark.sources.dialect import Reading, decide, fits


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a,b\n1,2\n", {"escape": '"'}),
        ('a;b\n1,5;"x;y"\n2,5;z\n', {"escape": '"', "sep": ";"}),
        ('a\tb\tc\n1\t"Foo\t3\n2\tbar" x\t4\n3\t17" monitor\t5\n', {"quote": "", "sep": "\t"}),
        ('a,b,c\n1,"x \\"q\\", y",3\n2,"z",4\n', {"escape": "\\"}),
        ('a,b,c\n1,"x ""q"", y",3\n', {"escape": '"'}),
        ('a,b,c\n1,"two\nlines",3\n2,"z",4\n', {"escape": '"', "multiLine": "true"}),
        ("'a','b'\n'x, y','2'\n", {"escape": "'", "quote": "'"}),
        ('a, "b"\n1, "x, y"\n', {"escape": '"', "ignoreLeadingWhiteSpace": "true"}),
        ("id\n1\n2\n", {"escape": '"'}),
        ("a|b|\r\n1|2|\r\n\r\n3|4|\r\n", {"escape": '"', "sep": "|"}),
        ("a,b\n1,it's\n2,rock 'n' roll\n", {"escape": '"'}),
    ],
)
def test_the_reading_is_taken_that_gives_every_line_the_headers_fields(text: str, options: dict[str, str]) -> None:
    reading, fitting, lines = decide([text], "t")
    assert reading.options() == {"header": "true", **options}
    assert fitting == lines


def test_multi_line_is_not_turned_on_by_one_odd_quote() -> None:
    text = "a\tb\n" + "".join(f"{i}\tname {i}\n" for i in range(50)) + '51\t"odd\n' + "52\tx\n"
    reading, fitting, lines = decide([text], "t")
    assert not reading.multi_line and fitting >= lines - 1


def test_lines_that_fit_no_reading_are_refused() -> None:
    text = "a,b,c\n" + "".join("x" + ",y" * (i % 7) + "\n" for i in range(70) if i % 7 != 2)
    with pytest.raises(SourceError, match="t: at most .* lines have as many fields as the first") as raised:
        decide([text], "t")
    assert "\n" not in str(raised.value)


def test_files_with_headers_of_their_own_are_counted_by_their_own() -> None:
    assert decide(["a,b\n1,2\n", "b,a,c\n1,2,3\n"], "t")[1:] == (4, 4)


def test_a_record_that_swallows_another_does_not_fit() -> None:
    text = 'a\tb\tc\n1\t"Foo\t3\n2\tbar"\t4\n'
    assert fits(text, Reading("\t", '"', '"', True))[:2] == (1, 3)
    prose = 'a,b,c\n1,"so, it is\nhere, and there",3\n'
    assert fits(prose, Reading(",", '"', '"', True))[:2] == (3, 3)


def test_windows_1252_differs_from_latin_1_where_it_has_letters() -> None:
    every = bytes(code for code in range(0x80, 0xA0) if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D))
    table = str.maketrans(WESTERN, WINDOWS_1252)
    assert every.decode("latin-1").translate(table) == every.decode("windows-1252")


def test_a_cut_character_and_a_byte_order_mark_do_no_harm() -> None:
    assert decoded("\ufeffgröß".encode()[:-1], "UTF-8") == "grö"
    assert decoded("ü".encode()[:1], "UTF-8") == ""
    assert decoded("a".encode("utf-16"), "UTF-16") == "a"
