"""Words that may start at a place of a text: of a user dictionary, of Janome's dictionary, and unknown words.

The method `find` of each class returns (end, entries) of these words, and `describe` the rest of an entry.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, Callable

from gluon_lstm.text.user_dictionary import MAX_SURFACE_LENGTH

# maximum characters of an unknown word after its first. With the default of Janome, 1,024, runs of ！ or ｗ take ten
# times as long as other text. Vocabularies do not keep words this long.
_MAX_UNKNOWN_WORD = 32

_read_int = Struct("I").unpack_from

Costs = Sequence[int]  # connection costs of a word to the next one, by the left context id of the next one
Describe = Callable[[int, str], tuple[str, str]]  # (number, surface) -> (part of speech, base form)
Entry = tuple[int, int, Costs, int, Describe]  # left context id, cost, connection costs, number (unknown words: < 0)
Found = list[tuple[int, list[Entry]]]


class ConnectionCosts:
    """Rows of Janome's matrix of connection costs, packed: its lists of ints do not fit into the caches of a CPU."""

    def __init__(self, connections: Sequence[Sequence[int]]) -> None:
        self._connections = connections
        self._rows: dict[int, Costs] = {}

    def of(self, right_id: int) -> Costs:
        """Return the costs of a word with this right context id to the next one."""
        if right_id not in self._rows:
            self._rows[right_id] = array("h", self._connections[right_id])
        return self._rows[right_id]


class UserWords:
    """Words of a user dictionary.

    Janome's own implementation compiles a CSV file into an automaton, which takes seconds for thousands of names and
    hours for some lists.
    """

    def __init__(self, lines: Sequence[str], costs: ConnectionCosts) -> None:
        self._descriptions: list[tuple[str, str]] = []
        self._entries: dict[str, list[Entry]] = defaultdict(list)  # by surface
        for number, line in enumerate(lines):
            surface, *fields = line.split(",")
            if len(fields) == 2:
                left, right, cost = 0, 0, -100_000  # Janome's values for simpledic: such a word always wins
                self._descriptions.append((f"{fields[0]},*,*,*", surface))
            else:
                left, right, cost = map(int, fields[:3])
                self._descriptions.append((",".join(fields[3:7]), fields[9]))
            if len(surface) <= MAX_SURFACE_LENGTH:
                self._entries[surface].append((left, cost, costs.of(right), number, self.describe))
        self._lengths = sorted(set(map(len, self._entries)))

    def find(self, text: str, start: int) -> Found:
        found = ((start + length, self._entries.get(text[start : start + length])) for length in self._lengths)
        return [(end, entries) for end, entries in found if entries and end <= len(text)]

    def describe(self, number: int, surface: str) -> tuple[str, str]:
        return self._descriptions[number]


class _Prefix:
    """Beginning of words of the dictionary: the entries of this very word, and the prefixes longer by one character.

    `longer` is filled when a text needs it; a prefix of no word is None.
    """

    __slots__ = ("entries", "longer", "states")

    def __init__(self, entries: list[Entry], states: list[tuple[int, int, bytes]]) -> None:
        self.entries = entries
        self.states = states  # those of the automaton, none if no word is longer: (part, address, output up to here)
        self.longer: dict[str, _Prefix | None] = {}


class SystemWords:
    """Words of Janome's dictionary.

    Janome follows the arcs of an automaton byte by byte at each place of a text. Here the automaton is unfolded, as far
    as texts need it, into a tree of characters that contains the entries.
    """

    _MAX_PREFIXES = 400_000  # cached; three novels need 120,000, of which 90,000 are of no word, and which take 30 MB

    def __init__(self, matcher: Any, dictionary: Any, costs: ConnectionCosts) -> None:
        from janome import fst

        self._final, self._last, self._has_output = fst.FLAG_FINAL_ARC, fst.FLAG_LAST_ARC, fst.FLAG_ARC_HAS_OUTPUT
        self._matcher = matcher
        self._dictionary = dictionary
        self._costs = costs
        self._root = _Prefix([], [(part, 0, b"") for part in range(len(matcher.dict_data))])
        self._num_prefixes = 0

    def find(self, text: str, start: int) -> Found:
        found: Found = []
        prefix = self._root
        for end, character in enumerate(text[start : start + MAX_SURFACE_LENGTH], start + 1):
            try:
                longer = prefix.longer[character]
            except KeyError:
                longer = self._lengthen(prefix, character)
            if longer is None:
                break
            prefix = longer
            if prefix.entries:
                found.append((end, prefix.entries))
            if not prefix.states:
                break
        return found

    def describe(self, number: int, surface: str) -> tuple[str, str]:
        part_of_speech, _, _, base_form, *_ = self._dictionary.lookup_extra(number)
        return part_of_speech, base_form

    def _lengthen(self, prefix: _Prefix, character: str) -> _Prefix | None:
        """Return the prefix that is longer by a character, and cache it."""
        numbers: list[bytes] = []
        states = []
        for part, address, output in prefix.states:
            for byte in character.encode():
                arc = self._follow(part, address, byte)
                if arc is None:
                    break
                output += arc[0]
                address = arc[1]
            else:
                flag, _, _, endings, _, size = self._matcher.next_arc(self._matcher.dict_data[part], address)
                if flag & self._final:
                    numbers += [output + ending for ending in endings]
                    address += size
                if not (flag & self._final and flag & self._last):
                    states.append((part, address, output))
        if self._num_prefixes == self._MAX_PREFIXES:
            self._root.longer.clear()
            self._num_prefixes = 0
        self._num_prefixes += 1
        longer = _Prefix(self._read_entries(numbers), states) if numbers or states else None
        prefix.longer[character] = longer
        return longer

    def _follow(self, part: int, address: int, byte: int) -> tuple[bytes, int] | None:
        """Return (output, target) of the arc for a byte, among the arcs at an address, which are sorted by byte.

        An arc is packed as flags, byte, size of the output and output if it has one, and distance to the target.
        """
        data = self._matcher.dict_data[part]
        while True:
            flag, label, end = data[address], data[address + 1], address + 2
            output_start = end
            if flag & self._has_output:
                output_start += 4
                end = output_start + _read_int(data, end)[0]
            if label == byte:
                return data[output_start:end], address + _read_int(data, end)[0]
            if label > byte or flag & self._last:
                return None
            address = end + 4

    def _read_entries(self, numbers: list[bytes]) -> list[Entry]:
        """Return the entries of one surface, without those that are never on a path of least cost."""
        best: dict[tuple[int, int], tuple[int, int]] = {}  # (left id, right id) -> (cost, number)
        for number, _, left, right, cost in self._dictionary.lookup(numbers, _Numbers):
            best[left, right] = min((cost, number), best.get((left, right), (cost, number)))
        costs, describe = self._costs, self.describe
        return [(left, cost, costs.of(right), number, describe) for (left, right), (cost, number) in best.items()]


class _Numbers:
    """Matcher for the look-up of entries by their numbers in place of text."""

    @staticmethod
    def run(numbers: list[bytes]) -> tuple[bool, list[bytes]]:
        return bool(numbers), numbers


class UnknownWords:
    """Words of no dictionary: runs of characters of one category, such as katakana or digits."""

    _MAX_CHARACTERS = 1 << 14  # with cached categories

    def __init__(self, dictionary: Any, costs: ConnectionCosts) -> None:
        self._descriptions: list[str] = []
        self._dictionary = dictionary
        self._costs = costs
        categories = {name: self._category(name) for name in dictionary.unknowns}
        self._categories_of = lru_cache(self._MAX_CHARACTERS)(
            lambda character: [categories[name] for name in dictionary.get_char_categories(character)]
        )

    def find(self, text: str, start: int, is_known: bool) -> Found:
        """`is_known`: the dictionary has words here. Then only some categories have unknown words too."""
        categories = self._categories_of(text[start])
        return [(run(text, start + 1).end(), entries) for always, run, entries in categories if always or not is_known]

    def describe(self, number: int, surface: str) -> tuple[str, str]:
        return self._descriptions[~number], surface

    def _category(self, name: str) -> tuple[bool, Callable[[str, int], Any], list[Entry]]:
        """Return whether the category has unknown words where the dictionary has words too, a matcher of the characters
        after the first one, and the entries.
        """
        dictionary = self._dictionary
        inside = [r for r in dictionary.char_ranges if name == r["cate"] or name in r.get("compat_cates", ())]
        ranges = "".join(f"{re.escape(r['from'])}-{re.escape(r['to'])}" for r in inside or dictionary.char_ranges)
        negation = "" if inside else "^"  # DEFAULT: characters of no category
        limit = _MAX_UNKNOWN_WORD if dictionary.unknown_grouping(name) else dictionary.unknown_length(name)
        entries: list[Entry] = []
        for left, right, cost, part_of_speech in dictionary.unknowns[name]:
            entries.append((left, cost, self._costs.of(right), ~len(self._descriptions), self.describe))
            self._descriptions.append(part_of_speech)
        run = re.compile(f"[{negation}{ranges}]{{0,{limit}}}").match
        return dictionary.unknown_invoked_always(name), run, entries  # type: ignore[return-value]  # always matches
