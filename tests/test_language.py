"""Language of the locale, the catalogue against the source, and columns of full-width text."""

from __future__ import annotations

import ast
import doctest
import string

import pytest
from test_architecture import MODULES
from translation import are_translations
from wcwidth import wcswidth

from gluon_lstm import columns, language
from gluon_lstm.language import _, from_environment, ngettext, use


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja"}, "ja"),
        ({"LANG": "ja_JP@cjknarrow"}, "ja"),
        ({"LANG": "ja.eucJP"}, "ja"),
        ({"LC_ALL": "ja_JP.UTF-8", "LC_MESSAGES": "C", "LANG": "C"}, "ja"),
        ({"LC_ALL": "C", "LC_MESSAGES": "ja_JP.UTF-8", "LANG": "ja_JP.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "ja_JP.UTF-8", "LANG": "C"}, "ja"),
        ({"LC_ALL": "", "LC_MESSAGES": "POSIX", "LANG": "ja_JP.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "", "LANG": ""}, "en"),
        ({"LANG": "xx_YY"}, "en"),
        ({"LANG": "jam_JM"}, "en"),
        ({"LANG": "/usr/share/locale/ja"}, "en"),
        ({"LC_CTYPE": "ja_JP.UTF-8", "LANG": "C"}, "en"),
    ],
)
def test_first_variable_that_is_not_empty_decides(environment, expected):
    assert from_environment(environment) == expected


def test_language_ends_with_its_context_also_after_an_error():
    assert language.language() == "en" and _("interrupted") == "interrupted"
    with pytest.raises(KeyError), use("ja"):
        assert language.language() == "ja" and _("interrupted") == "中断しました"
        with use("en"):
            assert _("interrupted") == "interrupted"
        assert _("interrupted") == "中断しました"
        raise KeyError
    assert language.language() == "en" and _("interrupted") == "interrupted"


def test_plural_forms():
    one, many = "{name}: {posts:,} post", "{name}: {posts:,} posts"
    assert [ngettext(one, many, n) for n in (0, 1, 2)] == [many, one, many]
    with use("ja"):
        assert {ngettext(one, many, n) for n in (0, 1, 2)} == {"{name}：投稿 {posts:,} 件"}


# ---- the catalogue


def test_catalogue_is_current_and_complete(script):
    """Every message of the source has a translation with the same placeholders, options and names, and no other is
    there; the compiled file is that of the .po file."""
    catalogue = script("catalogue")
    updated = catalogue.updated()
    assert list(catalogue.problems(updated)) == []
    for path, content in ((catalogue.PO, catalogue.po_file(updated)), (catalogue.MO, catalogue.mo_file(updated))):
        assert path.read_bytes() == content, "run python scripts/catalogue.py"
    assert len(updated) > 500 and not any(message.fuzzy for message in updated if message.id)


@pytest.mark.parametrize(
    ("source", "translation", "problem"),
    [
        ("{n} posts", "", "no translation"),
        ("{n:,} posts", "{n} 件", "in one language alone"),
        ("{n} posts", "{m} 件", "in one language alone"),
        ("use --out", "--force を使用", "in one language alone"),
        ("set `out`", "`force` を指定", "in one language alone"),
        ("expected %s", "%r が必要", "in one language alone"),
        ("{n} posts in `out` of --posts", "--posts の `out` に {n} 件", None),
        ("a name", "`name` という名前", None),
    ],
)
def test_problems_of_a_translation_are_found(script, source, translation, problem):
    catalogue = script("catalogue")
    found = catalogue.PlainCatalog("ja", fuzzy=False)
    found.add(source, translation)
    problems = list(catalogue.problems(found))
    assert len(problems) == (problem is not None) and all(problem in line for line in problems)


def test_every_message_can_be_formatted_in_both_languages(script):
    """The placeholders of a translation are those of format(), with the same names."""
    for message in script("catalogue").updated():
        texts = [message.id, message.string] if isinstance(message.id, str) else [*message.id, *message.string]
        fields = [{name for _text, name, _spec, _kind in string.Formatter().parse(text) if name} for text in texts]
        assert "" not in fields[0] and fields[0] <= fields[-1] and fields[-2 if len(fields) > 2 else 0] == fields[-1]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_function_that_translates_binds_the_name_of_gettext(module):
    """`for _ in …` would make `_` a local variable."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            own = list(_own_nodes(function))
            bound = {node.id for node in own if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            called = {node.func.id for node in own if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
            assert "_" not in bound & called, function.name


def _own_nodes(node):
    """Yield the nodes of a function, without those of comprehensions, which have a scope of their own."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)):
            yield child
            yield from _own_nodes(child)


# ---- columns


def test_doctest_examples():
    for module in (columns, language):
        result = doctest.testmod(module)
        assert result.attempted and not result.failed


@pytest.mark.parametrize("text", ["", "abc", "文字", "ｶﾅ", "「あ、い」", "か\u3099", "👨\u200d👩\u200d👧", "é"])
def test_padded_text_has_the_width_that_the_terminal_shows(text):
    for padded in (columns.ljust(text, 12), columns.rjust(text, 12)):
        assert wcswidth(padded) == 12 and padded.strip() == text
    assert columns.ljust("長い文字列", 3) == "長い文字列"


def test_width_is_that_of_wcwidth_for_every_character():
    for code in [*range(0x20, 0x3400), *range(0x9F00, 0xA000), *range(0xFF00, 0x10000), *range(0x1F300, 0x1F700)]:
        if wcswidth(chr(code)) >= 0:
            assert columns.width(chr(code)) == wcswidth(chr(code)), hex(code)


@pytest.mark.parametrize("limit", [10, 24, 54, 78])
def test_wrapped_lines_fit_and_no_line_begins_with_a_closing_mark(limit):
    text = (
        "実行ディレクトリには、`last.safetensors` と、検証用データがあれば `best.safetensors`（どちらも単独で"
        "モデルとして使えます）、`history.jsonl` が作られます。Ctrl-C と SIGTERM では、保存します。"
    )
    lines = columns.wrap(text, limit)
    longest = max(wcswidth(word) for word in ("`best.safetensors`（", "`last.safetensors`"))
    assert all(wcswidth(line) <= max(limit, longest + 4) for line in lines)
    assert not any(line.startswith(tuple("、。）」ーっ ")) or line.endswith(("（", " ")) for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert columns.wrap("one two  three\nfour", 9) == ["one two", "three", "four"]


# ---- the check of the Japanese pages


@pytest.mark.parametrize(
    ("english", "japanese", "expected"),
    [
        (
            "a.txt: 3 posts; left out: 8 retweets, 1 blank",
            "a.txt：投稿 3 件。除外：リツイート 8 件、空の投稿 1 件",
            True,
        ),
        (
            "a.txt: 3 posts; left out: 8 retweets, 1 blank",
            "a.txt：投稿 3 件。除外：リツイート 8 件、空の投稿 2 件",
            False,
        ),
        ("a.txt: 3 posts; left out: 8 retweets, 1 blank", "a.txt：投稿 3 件。除外：リツイート 8 件、重複 1 件", False),
        ("a.txt: 3 posts; left out: 8 retweets, 1 blank", "a.txt：投稿 3 件。除外：リツイート 8 件", False),
        ("a.txt: 3 posts; left out: 8 retweets, 1 blank", "a.txt: 3 posts; left out: 8 retweets, 1 blank", False),
        ("  Nouns", "  名詞", True),
        ("Nouns", "動詞", False),
        ("今日は晴れ", "今日は晴れ", True),
        ("今日は晴れ", "今日は雨", False),
        ("temperature 0.5", "温度 0.5", True),
        ("temperature 0.5", "温度 0.6", False),
    ],
)
def test_only_translations_are_accepted(english, japanese, expected):
    assert are_translations(english, japanese) == expected
