"""A training run from files: options -> corpus -> device -> training session."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from gluon_lstm.files import RUN_FILES, check_outputs
from gluon_lstm.language import LANGUAGES, _
from gluon_lstm.options import check, option, take
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.system import launched_processes, launched_rank, paused_gc
from gluon_lstm.text.cache import CacheOptions
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.settings import CorpusOptions, TextSettings
from gluon_lstm.text.sources.files import files_to_read
from gluon_lstm.text.sources.reading import ReadingOptions
from gluon_lstm.text.tokenizers.registry import accepts_raw
from gluon_lstm.text.user_dictionary import DictionaryOptions
from gluon_lstm.training.recipe import SAMPLES, Recipe, recipe_of

if TYPE_CHECKING:
    from gluon_lstm.training.processes import Processes

Paths = Sequence[Union[str, "os.PathLike[str]"]]


@dataclass(frozen=True)
class RunOptions:
    """Options of a run that do not affect its weights."""

    resume: bool = option(False, "continue the run in the run directory, if there is one")
    checkpoint_minutes: float = option(1.0, "minutes of training between two checkpoints", "M", above=0)
    ctx: str = option("auto", "device: auto, cpu, gpu or gpu:K; auto uses a GPU where MXNet has one", "C")
    prefix: str = option("こんにち", "beginning of the samples", "TEXT", SAMPLES)
    hang_seconds: float = option(
        300.0,
        "seconds without an answer after which one of several processes (mpirun) ends the run",
        "S",
        minimum=1,
        maximum=86_400,
    )
    language: str | None = option(None, "language of the page (default: the browser's)", choices=LANGUAGES)

    def __post_init__(self) -> None:
        check(self)


OPTIONS = (
    RunOptions,
    Recipe,
    ReadingOptions,
    CleaningOptions,
    TextSettings,
    CorpusOptions,
    DictionaryOptions,
    CacheOptions,
)


def train(
    paths: Paths,
    out: str | os.PathLike[str],
    recipe: str = "standard",
    notice: Notice = ignore,
    progress: Progress = silent,
    processes: Processes | None = None,
    **options: Any,
) -> None:
    """Train a model on the posts in `paths` and write it to the run directory `out`.

    `recipe` is standard or notes; `options` are the fields of OPTIONS by name, as docs/cli.md lists them. `processes`
    of mpirun divide each batch among them. Raises ValueError for an invalid option, a text that is too short, and a run
    directory that holds another run or would overwrite a file that is read; TrainingError for a run that diverges,
    OSError for files that cannot be read or written, KeyboardInterrupt after saving.
    """
    out, values = Path(out), dict(options)
    run = RunOptions(**take(RunOptions, values))
    given_recipe, given_text = take(Recipe, values), take(TextSettings, values)
    chosen = recipe_of(recipe, **given_recipe)
    if "raw" not in given_recipe and not accepts_raw(given_text.get("tokenizer", "char")):
        chosen = replace(chosen, raw=False)  # the notes read characters as one stream, but words post by post
    reading = ReadingOptions(**take(ReadingOptions, values))
    cleaning = CleaningOptions(**take(CleaningOptions, values))
    dictionary = DictionaryOptions(**take(DictionaryOptions, values))
    entries = dictionary.entries(notice)
    settings = TextSettings(raw=chosen.raw, cleaning=cleaning, user_dictionary=entries, **given_text)
    cache = CacheOptions(**take(CacheOptions, values)).folder
    corpus_options = CorpusOptions(
        reading=reading, validation=chosen.validation, cache=cache, **take(CorpusOptions, values)
    )
    if values:
        raise TypeError(f"train has no option {', '.join(values)}")

    from gluon_lstm.lstm.fast import precompile

    compiling = precompile.start() if chosen.implementation != "scratch" else None
    try:
        from gluon_lstm.text.corpus import tokenize_files  # NumPy, after the command line has set its threads
        from gluon_lstm.training.base import default_base, given_base, prepare_run
        from gluon_lstm.training.run_dir import check_free

        inputs = [file.path for file in files_to_read(paths, reading)]
        check_outputs([out / name for name in RUN_FILES], filter(None, [*inputs, dictionary.user_dictionary]))
        check_free(out, run.resume)
        if find_spec("mxnet") is None:
            import_module("gluon_lstm.compat")  # raises MXNetMissing, before the text is read
        if run.ctx not in ("auto", "cpu"):
            _choose_device(run.ctx)  # refused before the text is read
        base = given_base(chosen, settings, given_recipe)
        files = tokenize_files(paths, settings, corpus_options, notice, progress)
        base = base or default_base(chosen, files, given_recipe, notice)
        corpus, chosen, arrays = prepare_run(files, base, chosen, given_recipe, notice)
        if processes:
            processes.bind_cores()
            notice(_("{size} processes (mpirun) divide each update among them").format(size=processes.size))
        with paused_gc():
            ctx = _choose_device(run.ctx)  # imports MXNet: its threads do not survive the fork of a tokenizer process
            import_module("gluon_lstm.lstm.fast.jit")  # Numba
        precompile.wait(compiling)
    except BaseException:  # a refusal, or Ctrl-C
        precompile.stop(compiling)
        raise

    with paused_gc():
        from gluon_lstm.training import session  # reads the machine code of the kernels
        from gluon_lstm.training.schedule import Schedule
        from gluon_lstm.training.trainer import Trainer

        if processes:
            from gluon_lstm.training.distributed import first_trainer

    session.train(
        corpus,
        chosen,
        out,
        ctx,
        run.prefix,
        notice,
        progress,
        schedule=Schedule(checkpoint_minutes=run.checkpoint_minutes),
        resume=run.resume,
        arrays=arrays,
        language=run.language,
        make_trainer=partial(first_trainer, processes) if processes else Trainer,
    )


def in_processes(
    first: Callable[[Processes | None], int], report: Notice, hang_seconds: float = RunOptions.hang_seconds
) -> int:
    """Return the exit code of `first`, which the first process of mpirun calls, while the others work for it.

    A process alone calls `first(None)`. `report`, `hang_seconds` and errors: see `Processes`; the first process alone
    raises them.
    """
    if launched_processes() == 1:
        return first(None)
    from gluon_lstm.training.processes import Processes

    try:
        all_processes = Processes(RunOptions(hang_seconds=hang_seconds).hang_seconds, report)
    except (ImportError, ValueError):
        if launched_rank():
            raise SystemExit(2) from None
        raise
    with all_processes as processes:
        if processes.rank == 0:
            return first(processes)
        from gluon_lstm.training.distributed import work

        work(processes)
        return 0


def _choose_device(name: str) -> Any:
    from gluon_lstm.context import choose

    return choose(name)
