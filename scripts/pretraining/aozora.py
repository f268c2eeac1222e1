"""Works of Aozora Bunko: which may be read, and their lines without ruby and editor's notes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# The last lines of a work name its printed source and the volunteers. A work in copyright or under a licence says so.
COLOPHON = re.compile(r"^(底本|翻訳の底本|このファイルは)[：、]", re.M)
VOLUNTEERS = "ボランティアの皆さん"
RIGHTS = re.compile(
    r"ライセンス|クリエイティブ・?コモンズ|著作権(?!.{0,8}(?:切|消滅|満了))|[©Ⓒ]|copyright|許諾|無断|CC[ -]BY", re.I
)

NOTATION = re.compile(r"^-{20,}\n.*?^-{20,}\n", re.M | re.S)  # the explanation of the marks, above the text
GAIJI = re.compile(r"※［＃[^］]*?(?P<plane>[12])-(?P<row>\d{1,2})-(?P<cell>\d{1,2})[^］]*］")
UNKNOWN_GAIJI = re.compile(r"※［＃[^］]*］")
NOTE = re.compile(r"［＃[^］]*］")
RUBY = re.compile(r"《[^》]*》|[｜|](?=[^\n]{1,30}《)")

HIRAGANA = re.compile("[ぁ-ゖ]")
KANJI = re.compile("[一-鿿]")
OLD_KANA = re.compile("[ゐゑ]|つ[たて]|やう|いふ|ゐる|けふ|せう|でせ")
SMALL_KANA = re.compile("[っょゃゅ]")
OLD_KANJI = re.compile(
    "[國學會來實與體當變應對圖點發數經濟氣區廣爲萬假兩傳價勞勢單參雙聲處號嚴團圓壓壞壯壽學寫寶將專屆屬峽從德惡應戀戰戲擇擔據擧攝收效敍晝曉條榮樂樣樞橫檢權歐歡歷歸殘殼毆氣沒澤淺溫滯滿潛濟獨獸當疊發盡眞縣繩繪繼續聯聽膽臟與舊萬藝藥號蟲衞裝觀觸證譯讀變讓豐賣轉輕辨邊醫釋鐵鑛關陷險隱雜靈靜顏顯餘驅驗髓鬪鷄麥黃默點齊龍]"
)
MAX_OLD_KANA = 0.004  # of the hiragana
MAX_OLD_KANJI = 0.01  # of the kanji
MIN_HIRAGANA = 0.3  # of the characters


@dataclass(frozen=True)
class Work:
    """One work: its file, title and author, and its lines without ruby and notes."""

    path: str
    title: str
    author: str
    lines: list[str]

    @property
    def paragraphs(self) -> list[str]:
        """The lines without indentation; those without hiragana, as empty lines and rules, left out."""
        lines = (line.strip(" \t　") for line in self.lines)
        return [line for line in lines if HIRAGANA.search(line)]


@dataclass
class Shelf:
    """Works of a clone of aozorahack/aozorabunko_text, in the order of their files; counts of what is left out."""

    folder: Path
    left_out: Counter[str] = field(default_factory=Counter)

    def works(self) -> Iterator[Work]:
        """Yield the works in the public domain and in modern orthography."""
        files = sorted(self.folder.glob("cards/*/files/*/*.txt"))
        if not files:
            raise SystemExit(f"{self.folder}: no cards/*/files/*/*.txt; use a clone of aozorahack/aozorabunko_text")
        for file in files:
            text = file.read_bytes().decode("cp932", "replace").replace("\r\n", "\n")
            heading, body, colophon = _parts(text)
            if VOLUNTEERS not in colophon:
                self.left_out["without the volunteers' colophon"] += 1
            elif RIGHTS.search(heading) or RIGHTS.search(colophon):
                self.left_out["in copyright or under a licence"] += 1
            elif not is_modern(body):
                self.left_out["in historical orthography, or hardly Japanese"] += 1
            else:
                lines = text.split("\n", 2)
                yield Work(str(file.relative_to(self.folder)), lines[0], _author(text), lines_of(body))


def _parts(text: str) -> tuple[str, str, str]:
    """Return (heading, body, colophon) of a file; the colophon is "" where there is none."""
    notation = NOTATION.search(text)
    start = notation.end() if notation else text.find("\n\n") + 2
    colophon = COLOPHON.search(text, start)
    end = colophon.start() if colophon else len(text)
    return text[:start], text[start:end], text[end:]


def _author(text: str) -> str:
    """Return the lines of the heading after the title: subtitle, author, translator."""
    heading = text.split("\n\n", 1)[0].split("\n")
    return " / ".join(heading[1:]) if len(heading) > 1 else ""


def is_modern(body: str) -> bool:
    """Return whether a text is Japanese in the orthography of today: new kana, new kanji."""
    hiragana, kanji = len(HIRAGANA.findall(body)), len(KANJI.findall(body))
    if hiragana < MIN_HIRAGANA * max(len(body), 1):
        return False
    old = len(OLD_KANA.findall(body))
    return (
        old < MAX_OLD_KANA * hiragana
        and len(SMALL_KANA.findall(body)) > 2 * old
        and len(OLD_KANJI.findall(body)) <= MAX_OLD_KANJI * kanji
    )


def lines_of(body: str) -> list[str]:
    """Return the lines of a work without ruby and notes; those with a missing character left out."""
    text = RUBY.sub("", UNKNOWN_GAIJI.sub("〓", GAIJI.sub(_gaiji, body)))
    return [NOTE.sub("", line) for line in text.split("\n") if not re.search("[〓\ufffd]", line)]


def _gaiji(match: re.Match[str]) -> str:
    """Return the character of a JIS X 0213 code point, or 〓 where there is none."""
    plane, row, cell = (int(match[name]) for name in ("plane", "row", "cell"))
    if not (1 <= row <= 94 and 1 <= cell <= 94):
        return "〓"
    code = bytes([0x8F] if plane == 2 else []) + bytes([0xA0 + row, 0xA0 + cell])
    try:
        return code.decode("euc_jis_2004")
    except UnicodeDecodeError:
        return "〓"
