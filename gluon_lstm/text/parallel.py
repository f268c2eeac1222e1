"""Tokenize or analyse many posts, with Janome in as many processes as there are cores.

Janome is pure Python, so only processes make it faster. They are fresh interpreters that talk over pipes, not forks of
this one: MXNet's engine threads do not survive a fork, a script needs no ``if __name__ == "__main__"``, and a worker
whose parent is gone, however it went, reads the end of its input and ends too.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from typing import IO, Any, Callable, NamedTuple

from gluon_lstm.system import available_cores
from gluon_lstm.text.tokenizers import Analyzer, Word, make_tokenizer

ANALYSIS = "janome-analysis"  # stands where the name of a tokenizer may be: words instead of tokens

Chunk = list[str]  # posts: what is sent to a process at a time
Work = Callable[[str], list[Any]]  # a post to its tokens or words
Reply = Any  # the result for each post of a chunk, in a list; or a traceback (str), where that failed
Worker = subprocess.Popen[bytes]  # of this module's _serve

CHUNK_CHARACTERS = 8_192  # about half a second of Janome's work, a few milliseconds of sending
CHUNKS_PER_PROCESS = 3  # one in work, one ready, one waiting for its turn in the order
MAX_CHARACTERS_IN_FLIGHT = (
    1 << 21
)  # characters: as tokens they take 100 bytes each, so of gigantic posts there are fewer
MIN_CHARACTERS_FOR_PROCESSES = (
    20_000  # characters; below, starting Python and loading the dictionary costs more than it brings
)


def tokenize_posts(
    posts: Iterable[str],
    name: str,
    processes: int | None = None,
    progress: Callable[[int], None] | None = None,
    user_dictionary: Sequence[str] = (),
) -> Generator[list[str], None, None]:
    """The tokens of each post, in the order of the posts.

    ``processes`` is how many work at once (None: one for each core). ``char`` and ``codepoint`` are quicker than any
    pipe, and run here; so does a small input, and all of it where no process can be started.
    ``progress`` is told the number of characters of each piece of work when it is done.

    Posts are read only as far ahead as the processes need, so they may be endless. Leaving the loop early, an error or
    Ctrl-C ends the processes at once.
    """
    return _results(posts, _Job(name, list(user_dictionary)), processes, progress)


def analyse_posts(
    posts: Iterable[str],
    user_dictionary: Sequence[str] = (),
    compound_nouns: bool = False,
    processes: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Generator[list[Word], None, None]:
    """The words of each post, as `Analyzer` sees them; else like `tokenize_posts`."""
    for words in _results(posts, _Job(ANALYSIS, list(user_dictionary), compound_nouns), processes, progress):
        yield [Word(*word) for word in words]


class _Job(NamedTuple):
    """What is to be done with each post, in plain values that a process can be sent."""

    name: str  # of a tokenizer, or ANALYSIS
    user_dictionary: list[str]
    compound_nouns: bool = False

    def work(self) -> Work:
        if self.name == ANALYSIS:
            return Analyzer(self.user_dictionary, self.compound_nouns).words
        return make_tokenizer(self.name, self.user_dictionary).tokenize


def _results(
    posts: Iterable[str], job: _Job, processes: int | None, progress: Callable[[int], None] | None
) -> Generator[list[Any], None, None]:
    if processes is not None and processes < 1:
        raise ValueError(f"processes must be 1 or more, not {processes}")
    if processes is None:
        processes = available_cores()
    work = job.work()  # here, not in the generator: a wrong name is told at once
    chunks = _chunks(posts)
    report = progress or (lambda characters: None)
    if processes == 1 or not job.name.startswith("janome"):
        return _in_this_process(chunks, work, report)
    return _in_processes_if_worth_it(chunks, work, job, processes, report)


def _chunks(posts: Iterable[str]) -> Iterator[Chunk]:
    chunk: Chunk = []
    size = 0
    for post in posts:
        chunk.append(post)
        size += len(post) + 1  # an empty post counts too, or endless empty posts would never fill a chunk
        if size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _characters(chunk: Chunk) -> int:
    return sum(map(len, chunk))


def _in_this_process(
    chunks: Iterable[Chunk], work: Work, report: Callable[[int], None]
) -> Generator[list[Any], None, None]:
    for chunk in chunks:
        for post in chunk:
            yield work(post)
        report(_characters(chunk))


def _in_processes_if_worth_it(
    chunks: Iterator[Chunk],
    work: Work,
    job: _Job,
    processes: int,
    report: Callable[[int], None],
) -> Generator[list[Any], None, None]:
    first: list[Chunk] = []
    size = 0
    for chunk in chunks:
        first.append(chunk)
        size += _characters(chunk)
        if size >= MIN_CHARACTERS_FOR_PROCESSES:
            break
    workers = _start_workers(job, processes) if size >= MIN_CHARACTERS_FOR_PROCESSES else []
    everything = chain(first, chunks)
    if workers:
        yield from _in_processes(everything, workers, report)
    else:
        yield from _in_this_process(everything, work, report)


# --- this side of the pipes ----------------------------------------------------------------------------------------


def _in_processes(
    chunks: Iterable[Chunk], workers: list[Worker], report: Callable[[int], None]
) -> Generator[list[Any], None, None]:
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def ask(chunk: Chunk) -> list[list[Any]]:
        worker = idle.get()  # never waits: there is a thread for each worker
        try:
            reply = _ask(worker, chunk)
        finally:
            idle.put(worker)
        if isinstance(reply, str):
            raise RuntimeError(f"a tokenizer process failed:\n{reply}")
        return reply

    # A thread for each worker waits at its pipe, so that no worker has to wait for the consumer of the tokens.
    threads = ThreadPoolExecutor(len(workers))
    in_flight: deque[tuple[int, Future[list[list[Any]]]]] = deque()

    def oldest() -> Iterator[list[Any]]:
        characters, future = in_flight.popleft()
        yield from future.result()
        report(characters)

    try:
        for chunk in chunks:
            in_flight.append((_characters(chunk), threads.submit(ask, chunk)))
            while (
                len(in_flight) >= CHUNKS_PER_PROCESS * len(workers)
                or sum(n for n, _ in in_flight) > MAX_CHARACTERS_IN_FLIGHT
            ):
                yield from oldest()
        while in_flight:
            yield from oldest()
    finally:
        for worker in workers:
            worker.kill()  # whatever it is doing: the threads then read the end of its output
        threads.shutdown(cancel_futures=True)
        for worker in workers:
            with suppress(OSError), worker:  # closes the pipes and waits for the process to be gone
                pass


def _start_workers(job: _Job, count: int) -> list[Worker]:
    """As many as can be started, which may be none."""
    workers: list[Worker] = []
    if not sys.executable:  # Python inside another program
        return workers
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = [*map(str, sys.path), package_root]  # the root too: "" in the path is another folder after a chdir
    code = f"import sys; sys.path[:] = {path!r}; from {__name__} import _serve; _serve()"
    with suppress(OSError):
        for _ in range(count):
            command = [sys.executable, "-c", code]
            workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            _send(job, workers[-1].stdin)
    return workers


def _ask(worker: Worker, chunk: Chunk) -> Reply:
    assert worker.stdin and worker.stdout  # for mypy: both are pipes
    try:
        _send(chunk, worker.stdin)
        reply = worker.stdout.readline()
    except OSError:
        reply = b""
    if not reply.endswith(b"\n"):
        raise RuntimeError(f"a tokenizer process ended before its work, with code {worker.wait()}")
    return _received(reply)


def _send(message: Any, pipe: IO[bytes] | None) -> None:
    assert pipe  # for mypy, as above
    # Surrogates pass as they are: as escapes, two lone ones side by side would come out as one character.
    pipe.write(json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    pipe.flush()


def _received(line: bytes) -> Any:
    return json.loads(line.decode("utf-8", "surrogatepass"))


# --- the other side ------------------------------------------------------------------------------------------------


def _serve() -> None:
    """What a worker runs: a job, then chunks from standard input, their results to standard output, until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends us without a traceback
    job = _Job(*_received(sys.stdin.buffer.readline()))
    work = None
    for line in sys.stdin.buffer:
        reply: Reply
        try:
            work = work or job.work()
            reply = [work(post) for post in _received(line)]
        except Exception:
            reply = traceback.format_exc()
        try:
            _send(reply, sys.stdout.buffer)
        except OSError:
            os._exit(1)  # the parent is gone; a normal exit would flush once more, and complain
