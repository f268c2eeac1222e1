"""Tokenization of many posts, in one process per core for Janome.

Janome is pure Python and holds the GIL, so it is parallelized with processes. Workers are new interpreters connected by
pipes, not forks: MXNet's engine threads do not survive a fork, and a script needs no ``if __name__ == "__main__"``. A
worker reads the end of its input and exits when its parent has ended, even by a signal.
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

from gluon_lstm.language import _
from gluon_lstm.system import available_cores
from gluon_lstm.text.janome.analyzer import Analyzer, Word
from gluon_lstm.text.tokenizers.registry import make_tokenizer, tokenizer_class

ANALYSIS = "janome-analysis"  # name of the job that returns Words instead of tokens

Chunk = list[str]  # posts sent to a worker in one message
Work = Callable[[str], list[Any]]  # post -> tokens or words
Reply = Any  # list of the results of a chunk, or a traceback (str) on failure
Worker = subprocess.Popen[bytes]  # process of _worker_main

CHUNK_CHARACTERS = 8_192  # 0.1 s of work for Janome, a few milliseconds of transfer
CHUNKS_PER_PROCESS = 3  # one being tokenized, one queued, one waiting for earlier results
MAX_CHARACTERS_IN_FLIGHT = 1 << 21  # limits the memory of very long posts: tokens take 100 bytes for each character
MIN_CHARACTERS_FOR_PROCESSES = 50_000  # below this, starting Python and loading the dictionary takes longer


def tokenize_posts(
    posts: Iterable[str],
    name: str,
    processes: int | None = None,
    progress: Callable[[int], None] | None = None,
    user_dictionary: Sequence[str] = (),
) -> Generator[list[str], None, None]:
    """Yield the tokens of each post, in the order of the posts.

    `processes` is the number of workers (None: one for each core). Work is done in this process for tokenizers that are
    faster than a pipe, for small inputs, and where no process can be started. `progress` is called with the number of
    characters of each finished chunk.

    Posts are read only as far ahead as the workers need, so the iterable may be infinite. Closing the generator, an
    error or Ctrl-C ends the workers at once. Raises ValueError at the call for an unknown tokenizer or `processes` < 1.
    """
    return _tokenize(posts, _TokenizeJob(name, list(user_dictionary)), processes, progress)


def analyze_posts(
    posts: Iterable[str],
    user_dictionary: Sequence[str] = (),
    compound_nouns: bool = False,
    processes: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Generator[list[Word], None, None]:
    """Yield the words of each post as `Analyzer` returns them; otherwise like `tokenize_posts`."""
    for words in _tokenize(posts, _TokenizeJob(ANALYSIS, list(user_dictionary), compound_nouns), processes, progress):
        yield [Word(*word) for word in words]


class _TokenizeJob(NamedTuple):
    """Job of a worker, as JSON values."""

    name: str  # name of a tokenizer, or ANALYSIS
    user_dictionary: list[str]
    compound_nouns: bool = False

    @property
    def is_slow(self) -> bool:
        """Whether the work is worth worker processes. Raises ValueError for an unknown tokenizer."""
        return self.name == ANALYSIS or tokenizer_class(self.name).is_slow

    def work(self) -> Work:
        """Return the function from a post to its tokens or words; for Janome it loads the dictionary, in 0.2 s."""
        if self.name == ANALYSIS:
            return Analyzer(self.user_dictionary, self.compound_nouns).words
        return make_tokenizer(self.name, self.user_dictionary).tokenize


def _tokenize(
    posts: Iterable[str], job: _TokenizeJob, processes: int | None, progress: Callable[[int], None] | None
) -> Generator[list[Any], None, None]:
    if processes is not None and processes < 1:
        raise ValueError(_("`processes` {processes}: use at least 1").format(processes=processes))
    if processes is None:
        processes = available_cores()
    is_slow = job.is_slow  # here, not in the generator: an unknown name is an error at the call
    chunks = _chunks_of(posts)
    report = progress or (lambda characters: None)
    if processes == 1 or not is_slow:
        return _tokenize_inline(chunks, job, report)
    return _tokenize_in_workers_if_large(chunks, job, processes, report)


def _chunks_of(posts: Iterable[str]) -> Iterator[Chunk]:
    chunk: Chunk = []
    size = 0
    for post in posts:
        chunk.append(post)
        size += len(post) + 1  # an empty post counts as 1, so that empty posts fill a chunk
        if size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _num_characters(chunk: Chunk) -> int:
    return sum(map(len, chunk))


def _tokenize_inline(
    chunks: Iterable[Chunk], job: _TokenizeJob, report: Callable[[int], None]
) -> Generator[list[Any], None, None]:
    work = job.work()
    for chunk in chunks:
        for post in chunk:
            yield work(post)
        report(_num_characters(chunk))


def _tokenize_in_workers_if_large(
    chunks: Iterator[Chunk],
    job: _TokenizeJob,
    processes: int,
    report: Callable[[int], None],
) -> Generator[list[Any], None, None]:
    first: list[Chunk] = []
    size = 0
    for chunk in chunks:
        first.append(chunk)
        size += _num_characters(chunk)
        if size >= MIN_CHARACTERS_FOR_PROCESSES:
            break
    workers = _start_workers(job, processes) if size >= MIN_CHARACTERS_FOR_PROCESSES else []
    everything = chain(first, chunks)
    if workers:
        yield from _tokenize_in_workers(everything, workers, report)
    else:
        yield from _tokenize_inline(everything, job, report)


# --- parent process ------------------------------------------------------------------------------------------------


def _tokenize_in_workers(
    chunks: Iterable[Chunk], workers: list[Worker], report: Callable[[int], None]
) -> Generator[list[Any], None, None]:
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def ask(chunk: Chunk) -> list[list[Any]]:
        worker = idle.get()  # never blocks: there is one thread for each worker
        try:
            reply = _request(worker, chunk)
        finally:
            idle.put(worker)
        if isinstance(reply, str):
            raise RuntimeError(_("a tokenizer process failed:\n{reply}").format(reply=reply))
        return reply

    # One thread reads the pipe of each worker, so that no worker waits for the consumer of the tokens.
    threads = ThreadPoolExecutor(len(workers))
    in_flight: deque[tuple[int, Future[list[list[Any]]]]] = deque()

    def oldest() -> Iterator[list[Any]]:
        characters, future = in_flight.popleft()
        yield from future.result()
        report(characters)

    try:
        for chunk in chunks:
            in_flight.append((_num_characters(chunk), threads.submit(ask, chunk)))
            while (
                len(in_flight) >= CHUNKS_PER_PROCESS * len(workers)
                or sum(n for n, _ in in_flight) > MAX_CHARACTERS_IN_FLIGHT
            ):
                yield from oldest()
        while in_flight:
            yield from oldest()
    finally:
        for worker in workers:
            worker.kill()  # the threads then read the end of its output
        threads.shutdown(cancel_futures=True)
        for worker in workers:
            with suppress(OSError), worker:  # closes the pipes and waits for the process
                pass


def _start_workers(job: _TokenizeJob, count: int) -> list[Worker]:
    """Start up to `count` workers; return those that could be started, maybe none."""
    workers: list[Worker] = []
    if not sys.executable:  # Python is embedded in another program
        return workers
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = [*map(str, sys.path), package_root]  # includes the root: "" in the path is another folder after a chdir
    code = f"import sys; sys.path[:] = {path!r}; from {__name__} import _worker_main; _worker_main()"
    with suppress(OSError):
        for _ in range(count):
            command = [sys.executable, "-c", code]
            workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            _send(job, workers[-1].stdin)
    return workers


def _request(worker: Worker, chunk: Chunk) -> Reply:
    assert worker.stdin and worker.stdout  # for mypy
    try:
        _send(chunk, worker.stdin)
        reply = worker.stdout.readline()
    except OSError:
        reply = b""
    if not reply.endswith(b"\n"):
        raise RuntimeError(
            _("a tokenizer process ended before its work was finished, with exit code {wait}").format(
                wait=worker.wait()
            )
        )
    return _decode_message(reply)


def _send(message: Any, pipe: IO[bytes] | None) -> None:
    assert pipe  # for mypy
    # Surrogates are not escaped: two adjacent escaped lone surrogates would be decoded as one character.
    pipe.write(json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    pipe.flush()


def _decode_message(line: bytes) -> Any:
    return json.loads(line.decode("utf-8", "surrogatepass"))


# --- worker process ------------------------------------------------------------------------------------------------


def _worker_main() -> None:
    """Read a job, then chunks, from standard input, and write the results to standard output, until the input ends."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the parent also gets Ctrl-C, and ends this process without a traceback
    job = _TokenizeJob(*_decode_message(sys.stdin.buffer.readline()))
    work = None
    for line in sys.stdin.buffer:
        reply: Reply
        try:
            work = work or job.work()
            reply = [work(post) for post in _decode_message(line)]
        except Exception:
            reply = traceback.format_exc()
        try:
            _send(reply, sys.stdout.buffer)
        except OSError:
            os._exit(1)  # the parent has ended; a normal exit would flush again and print an error
