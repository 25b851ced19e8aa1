"""Advice files: good rows become rows to send, bad ones are told, personal data refuses the file."""

import json
from pathlib import Path

import pytest

from sorter.records import Names
from sorter.rulebook import Rejected, advice
from tests.rulebook import small_site
from tests.rulebook.small_site import write

HEADER = "waybill,carrier,station,service,flow,weight_g,cancelled"


@pytest.fixture(name="names", scope="module")
def small_names(tmp_path_factory: pytest.TempPathFactory) -> Names:
    return small_site.load(write(tmp_path_factory.mktemp("rules"))).names


def read(
    folder: Path, names: Names, text: str, file: str = "advices.csv", encoding: str = "utf-8-sig"
) -> advice.Advices:
    path = folder / file
    path.write_bytes(text.encode(encoding))
    return advice.read(path, names)


def test_rows(tmp_path: Path, names: Names) -> None:
    found = read(
        tmp_path,
        names,
        f"{HEADER}\r\nsf123456789012,SF,V001,express,outbound,1200,\r\nYT1234567890123,圆通,槐花村,,,,是\r\n\r\n",
    )
    assert found.errors == []
    assert found.rows == [
        ("SF123456789012", 0, 0, names.services.index("express"), 1, 1200, 0),
        ("YT1234567890123", 1, 1, 0, 0, 0, 1),
    ]
    assert all(type(value) in (str, int) for row in found.rows for value in row), "msgpack takes them as they are"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_chinese_headers_other_columns_and_encodings(tmp_path: Path, names: Names, encoding: str) -> None:
    text = "站点\t体积\t运单号\t承运商\t进出港\t重量（克）\nV002\t3\tYT1234567890123\tYTO\t出港\t15\n"
    found = read(tmp_path, names, text, "a.tsv", encoding)
    assert found.rows == [("YT1234567890123", 1, 1, 0, 1, 15, 0)]


def test_ndjson(tmp_path: Path, names: Names) -> None:
    rows = [
        {
            "waybill": "YT1234567890123",
            "carrier": "YTO",
            "station": "C01",
            "weight_g": 300,
            "cancelled": True,
            "x": [1],
        },
        {"运单号": "SF123456789012", "承运商": "SF", "站点": "O01", "flow": "outbound", "weight_g": None},
    ]
    text = "\n".join(json.dumps(row) for row in rows) + '\n{"waybill": 5\n[1]\n{}\n'
    found = read(tmp_path, names, text, "a.ndjson")
    assert found.rows == [("YT1234567890123", 1, 2, 0, 0, 300, 1), ("SF123456789012", 0, 3, 0, 1, 0, 0)]
    assert [(error.row, error.column) for error in found.errors] == [(3, ""), (4, ""), (5, "waybill")]
    assert str(found.errors[0]).startswith("a.ndjson row 3: the line is not JSON")


GOOD = ["SF123456789012", "SF", "V001", "express", "inbound", "1200", "0"]


WRONG = [
    ("waybill", "", "write the waybill's number"),
    ("waybill", "3.4012345E+17", "digits are lost"),
    ("waybill", "1" * 25, "up to 24"),
    ("waybill", "SF 123", "no waybill"),
    ("waybill", "顺丰123", "no waybill"),
    ("waybill", "2026/1/2", "is a date"),
    ("carrier", "", "write a carrier"),
    ("carrier", "SFF", 'did you mean "SF"'),
    ("station", "V009", "is no station of the sort plan"),
    ("station", "V001|V002", "one station alone"),
    ("service", "expres", 'did you mean "express"'),
    ("flow", "up", "write inbound (进港) or outbound (出港)"),
    ("weight_g", "1.2", "weight in grams as digits"),
    ("weight_g", "-1", "weight in grams as digits"),
    ("weight_g", "262144", "from 0 to 262143"),
    ("cancelled", "maybe", "neither yes nor no"),
]


@pytest.mark.parametrize(("column", "text", "words"), WRONG)
def test_a_bad_row_is_told_and_takes_no_other_along(
    tmp_path: Path, names: Names, column: str, text: str, words: str
) -> None:
    row = list(GOOD)
    row[HEADER.split(",").index(column)] = text
    found = read(tmp_path, names, "\n".join([HEADER, ",".join(GOOD), ",".join(row), ",".join(GOOD)]))
    assert len(found.rows) == 2
    (error,) = found.errors
    assert (error.table, error.row, error.column) == ("advices.csv", 3, column)
    assert words in error.message("en")


def test_a_broken_line_spoils_itself_alone(tmp_path: Path, names: Names) -> None:
    good = ",".join(GOOD)
    found = read(
        tmp_path, names, "\n".join([HEADER, f'"{good}', good, f"{good},x", "YT1", good, f'"{GOOD[0]}"{good[14:]}'])
    )
    assert len(found.rows) == 3
    assert [error.row for error in found.errors] == [2, 4, 5]


PERSONAL = [
    "姓名",
    "收件人",
    "收件人电话",
    "寄件人姓名",
    "手机号",
    "联系电话",
    "详细地址",
    "收货地址",
    "身份证号",
    "name",
    "Name",
    "phone",
    "recipientPhoneSuffix",
    "PHONE2",
    "mobile_no",
    "tel",
    "Address",
    "receiver",
    "consigneeName",
    "customer",
    "first name",
    "ＮＡＭＥ",
]


@pytest.mark.parametrize("header", PERSONAL)
def test_a_column_of_personal_data_refuses_the_file(tmp_path: Path, names: Names, header: str) -> None:
    with pytest.raises(Rejected) as caught:
        read(tmp_path, names, f"{HEADER},{header}\n{','.join(GOOD)},秘密\n")
    (error,) = caught.value.errors
    assert error.row == 1
    assert "nothing was loaded; delete the column" in error.message("en")
    assert "秘密" not in str(error)


@pytest.mark.parametrize("row", [{"收件人": "x"}, {"to": {"Phone": "1"}}, {"parties": [{"fullName": "x"}]}])
def test_personal_data_deep_in_a_late_line_refuses_the_file(
    tmp_path: Path, names: Names, row: dict[str, object]
) -> None:
    good = dict(zip(HEADER.split(","), GOOD, strict=True))
    text = "\n".join([*[json.dumps(good)] * 50, json.dumps(good | row)])
    with pytest.raises(Rejected, match=r"row 51, column .*personal data"):
        read(tmp_path, names, text, "a.ndjson")


@pytest.mark.parametrize("header", ["station_name", "承运商名称", "carrierName", "路向名称", "hotel", "cellar", "件数"])
def test_what_only_looks_personal_is_not(header: str) -> None:
    assert not advice.is_personal(header)


REFUSED = [
    ("", "the file is empty"),
    ("waybill,carrier\nx,y\n", "no column station"),
    (f"{HEADER},运单号\n", "names the column waybill twice"),
    ('"waybill,carrier,station\n', "quotation mark"),
    ("waybill,carrier,station\n\0", "NUL byte"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_what_is_no_advice_file_is_refused(tmp_path: Path, names: Names, text: str, words: str) -> None:
    with pytest.raises(Rejected) as caught:
        read(tmp_path, names, text, encoding="utf-8")
    assert words in str(caught.value)
    assert str(caught.value).startswith("advices.csv")


def test_no_file(tmp_path: Path, names: Names) -> None:
    for path in (tmp_path, tmp_path / "nowhere.csv"):
        with pytest.raises(Rejected, match=r"folder|cannot be read: No such file"):
            advice.read(path, names)
