"""Janome: the words of `janome.tokenizer.Tokenizer`, in less than a third of its time.

The words of a text are the path of least cost through the words that may start at each place. A word has a cost of its
own, and two adjacent words have the connection cost of the right context id of the first and the left id of the second.
Janome creates an object for each word that may start; here it is a tuple, and the entries of the dictionary are cached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from gluon_lstm.text.janome.lookup import ConnectionCosts, Costs, Found, SystemWords, UnknownWords, UserWords

# Long text is tokenized in chunks, which end after punctuation where possible.
_MIN_CHUNK, _MAX_CHUNK = 500, 1024
_CHUNK_ENDS = ("、", "。", ",", ".", "？", "?", "！", "!", "\n\n", "\r\n\r\n")

_MORE_THAN_ANY_PATH = 1 << 31

# Word at a place: cost of the best path to its end, its connection costs, number, start, the node before it, `describe`
_Node = tuple[int, Costs, int, int, Any, Any]


@cache
def _dictionary() -> tuple[ConnectionCosts, SystemWords, UnknownWords]:
    """Return Janome's dictionary, with what of it is cached: all tokenizers of a process share it."""
    from janome.tokenizer import Tokenizer  # imported here: it loads a dictionary of 80 MB

    janome = Tokenizer()
    costs = ConnectionCosts(janome.sys_dic.connections)
    return costs, SystemWords(janome.matcher, janome.sys_dic, costs), UnknownWords(janome.sys_dic, costs)


class Janome:
    """Janome's dictionary with additional entries, and the words of least cost."""

    def __init__(self, user_dictionary: Sequence[str] = ()) -> None:
        costs, self._system, self._unknown = _dictionary()
        self._user = UserWords(user_dictionary, costs)
        self._beginning: _Node = (0, costs.of(0), -1, 0, None, None)

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text without the white space around it."""
        return [surface for surface, _ in self._words(text)]

    def analyze(self, text: str) -> list[tuple[str, str, str]]:
        """Return (surface, part of speech, base form) of each of these words."""
        return [(surface, *node[5](node[2], surface)) for surface, node in self._words(text)]

    def _words(self, text: str) -> Iterator[tuple[str, _Node]]:
        """Yield the surface and the node of each word."""
        text = text.strip()
        done = 0
        while done < len(text):
            chunk = text[done : done + _MAX_CHUNK]
            end, node = self._best_path(chunk)
            done += end
            words = []
            while node[4]:
                words.append((chunk[node[3] : end], node))
                _, _, _, end, node, _ = node
            yield from reversed(words)

    def _best_path(self, chunk: str) -> tuple[int, _Node]:
        """Return the place where the chunk ends, and the last node of the path of least cost to it."""
        nodes: list[list[_Node]] = [[] for _ in range(len(chunk) + 1)]  # by the end of their words
        nodes[0].append(self._beginning)
        for place, before in enumerate(nodes):
            if not before:
                continue
            if place == len(chunk) or (place >= _MIN_CHUNK and chunk.endswith(_CHUNK_ENDS, 0, place)):
                break
            for end, entries in self._find(chunk, place):
                for left_id, cost, connections, number, describe in entries:
                    least, best = _best_connection(before, left_id)
                    nodes[end].append((least + cost, connections, number, place, best, describe))
        return place, _best_connection(before, 0)[1]

    def _find(self, chunk: str, place: int) -> Found:
        """Return the words that may start at a place, in the order in which Janome adds them."""
        known = self._system.find(chunk, place)
        return self._user.find(chunk, place) + known + self._unknown.find(chunk, place, bool(known))


def _best_connection(nodes: list[_Node], left_id: int) -> tuple[int, _Node]:
    """Return the least cost of the paths through these nodes to a word with this left id, and its node.

    Of nodes of equal cost it is Janome's: the first one, or if this one is of a dictionary, that of the lowest number.
    """
    least, best = _MORE_THAN_ANY_PATH, nodes[0]
    for node in nodes:
        cost, connections, number, _, _, _ = node
        cost += connections[left_id]
        if cost < least:
            least, best = cost, node
        elif cost == least and -1 < number < best[2]:
            best = node
    return least, best
