"""Dictionary look-up of Janome, faster and with user entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from gluon_lstm.text.user_dictionary import MAX_SURFACE_LENGTH

# maximum characters of an unknown word, tried at each character. With the default of Janome, 1,024, runs of ！ or ｗ
# take ten times as long as other text. Vocabularies do not keep words this long.
_MAX_UNKNOWN_WORD = 32


def make_janome(entries: Sequence[str], wakati: bool = True) -> Any:
    """Return Janome's tokenizer with the faster look-up and additional entries. `wakati`: it returns surfaces only."""
    from janome.tokenizer import Tokenizer  # imported here: it loads a dictionary of 80 MB

    tokenizer = Tokenizer(wakati=wakati, max_unknown_length=_MAX_UNKNOWN_WORD)
    tokenizer.matcher = _FastMatcher(tokenizer.matcher)
    if entries:
        tokenizer.user_dic = _UserEntries(entries)
    return tokenizer


class _UserEntries:
    """User dictionary with the look-up interface of Janome.

    Janome's own implementation compiles a CSV file into an automaton, which takes seconds for thousands of names and
    hours for some lists.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        self._extra: list[tuple[str, ...]] = []  # (part of speech, inflection, base form, reading, pronunciation)
        self._found: dict[bytes, list[tuple[int, str, int, int, int]]] = defaultdict(list)
        for number, entry in enumerate(entries):
            fields = entry.split(",")
            surface = fields[0]
            if len(fields) == 3:
                left, right, cost = 0, 0, -100_000  # Janome's values for simpledic: such a word always wins
                self._extra.append((f"{fields[1]},*,*,*", "*", "*", surface, fields[2], fields[2]))
            else:
                left, right, cost = map(int, fields[1:4])
                self._extra.append((",".join(fields[4:8]), *fields[8:]))
            if len(surface) <= MAX_SURFACE_LENGTH:
                self._found[surface.encode()].append((number, surface, left, right, cost))
        self._lengths = sorted(set(map(len, self._found)))

    def lookup(self, text: bytes) -> list[tuple[int, str, int, int, int]]:
        """Return (number, surface, left id, right id, cost) of each entry that is a prefix of `text`."""
        found = (self._found.get(text[:length], ()) for length in self._lengths if length <= len(text))
        return [entry for entries in found for entry in entries]

    def lookup_extra(self, number: int) -> tuple[str, ...]:
        return self._extra[number]


class _FastMatcher:
    """Prefix matcher of Janome's dictionary automaton, with the same results; it halves the time of the tokenizer.

    Janome's own matcher parses the arcs of each state from packed bytes. This one caches each visited state as a dict.
    """

    _MAX_STATES = 100_000  # cached in each of two parts; a novel visits 30,000, which take about 60 MB

    def __init__(self, packed: Any) -> None:
        from janome import fst

        self._final, self._last = fst.FLAG_FINAL_ARC, fst.FLAG_LAST_ARC
        self._packed = packed
        self._states: list[dict[int, Any]] = [{} for _ in packed.dict_data]

    def run(self, word: bytes, common_prefix_match: bool = True) -> tuple[bool, list[bytes]]:
        """Return (found, entries) for the dictionary entries that are prefixes of `word`, as Janome calls it."""
        found: list[bytes] = []
        for part, states in enumerate(self._states):
            address, read = 0, b""
            for byte in word + b"\0":  # NUL for the entry that is the whole word
                state = states.get(address)
                if state is None:
                    if len(states) >= self._MAX_STATES:
                        states.clear()
                    state = states[address] = self._unfold(part, address)
                endings, arcs = state
                for ending in endings:
                    found.append(read + ending)
                if byte not in arcs:
                    break
                output, address = arcs[byte]
                read += output
        return bool(found), found

    def _unfold(self, part: int, address: int) -> tuple[list[bytes], dict[int, tuple[bytes, int]]]:
        """Return the state at an address: the outputs that end in it, and (output, target) of each arc."""
        endings: list[bytes] = []
        arcs: dict[int, tuple[bytes, int]] = {}
        packed = self._packed.dict_data[part]
        while True:
            flag, label, output, final_output, target, size = self._packed.next_arc(packed, address)
            if flag & self._final:
                endings = final_output
            else:
                arcs[label] = output, address + target
            if flag & self._last:
                return endings, arcs
            address += size
