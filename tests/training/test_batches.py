"""Batches: by hand on small inputs, and properties for all inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.training.batches import (
    ALIGN_WITHIN,
    Batches,
    ShuffledPosts,
    contiguous,
    fit_batch,
    notebook,
    windows_per_epoch,
)
from gluon_lstm.training.recipe import STANDARD

END = 1
sizes = st.tuples(st.integers(1, 300), st.integers(1, 9), st.integers(1, 12))  # M tokens, N, T


def lists(windows):
    return [(x.tolist(), y.tolist()) for x, y in windows]


def test_contiguous_by_hand():
    """12 tokens, 2 lanes of 6: a column is a lane. The token before the first is the last: the ids form a ring."""
    assert lists(contiguous(np.arange(12), N=2, T=3)) == [
        (
            [[11, 5], [0, 6], [1, 7]],
            [[0, 6], [1, 7], [2, 8]],
        ),
        (
            [[2, 8], [3, 9], [4, 10]],
            [[3, 9], [4, 10], [5, 11]],
        ),
    ]


def test_contiguous_wraps_around():
    """7 tokens, 2 lanes of 3 from token 5: token 4 is left to another epoch."""
    assert lists(contiguous(np.arange(7), N=2, T=3, start=5)) == [
        (
            [[4, 0], [5, 1], [6, 2]],
            [[5, 1], [6, 2], [0, 3]],
        )
    ]


def test_lanes_start_after_end_of_post():
    """Posts 2 3 | 4 5 6 | 7 | 8 9, an end of post (1) after each. Lane 1 moves from 6 back to 4."""
    ids = np.array([2, 3, END, 4, 5, 6, END, 7, END, 8, 9, END])
    windows = lists(contiguous(ids, N=2, T=5, start=11, end_of_post=END))
    assert windows == [
        (
            [[END, END], [8, 4], [9, 5], [END, 6], [2, END]],
            [[8, 4], [9, 5], [END, 6], [2, END], [3, 7]],
        )
    ]


def test_lane_at_start_of_post_is_not_moved():
    ids = np.array([2, 3, END, 4, 5, END, 6, 7, END])
    x, y = next(contiguous(ids, N=3, T=2, start=3, end_of_post=END))
    assert x[0].tolist() == [END, END, END]
    assert y[0].tolist() == [4, 6, 2]


def test_lane_far_from_end_of_post_is_not_moved():
    ids = np.concatenate([[END], np.arange(2, 3000)])
    for at in (1, ALIGN_WITHIN, ALIGN_WITHIN + 1):
        x, y = next(contiguous(ids, N=1, T=2, start=at, end_of_post=END))
        wanted = [END, 2] if at <= ALIGN_WITHIN else [at, at + 1]
        assert [x[0, 0], y[0, 0]] == wanted, at


def test_notebook_by_hand():
    """Windows of 2 of the text: 0 1 | 2 3 | 4 5 | 6 7; row j of batch i is window 2i + j. 8 is a target only."""
    assert lists(notebook(np.arange(9), N=2, T=2)) == [
        ([[0, 2], [1, 3]], [[1, 3], [2, 4]]),
        ([[4, 6], [5, 7]], [[5, 7], [6, 8]]),
    ]
    assert len(lists(notebook(np.arange(8), N=2, T=2))) == 1  # the second batch lacks its last target


@settings(deadline=None)
@given(sizes)
def test_notebook_equals_code_of_the_notes(MNT):
    """As printed in notes 003, with labels cut to whole batches like the data."""
    M, N, T = MNT
    ids = np.random.default_rng(M).integers(0, 50, M)
    samples = (M - 1) // T
    batches = samples // N
    data = ids[: T * samples][: batches * N * T].reshape(batches, N, T).swapaxes(1, 2)
    label = ids[1 : T * samples + 1][: batches * N * T].reshape(batches, N, T).swapaxes(1, 2)
    windows = list(notebook(ids, N, T))
    assert len(windows) == batches == windows_per_epoch(M - 1, N, T)
    for i, (x, y) in enumerate(windows):
        np.testing.assert_array_equal(x, data[i])
        np.testing.assert_array_equal(y, label[i])
        for j in range(N):
            begin = (N * i + j) * T
            np.testing.assert_array_equal(x[:, j], ids[begin : begin + T])


@settings(deadline=None)
@given(sizes, st.integers(0, 299))
def test_contiguous_lanes_continue_and_read_each_token_once(MNT, start):
    """Tokens equal their positions. Only those after the last whole window of a lane, and M mod N, are left out."""
    M, N, T = MNT
    start %= M
    windows = list(contiguous(np.arange(M), N, T, start))
    K = M // N // T
    assert len(windows) == K == windows_per_epoch(M, N, T)
    for x, y in windows:
        assert x.shape == y.shape == (T, N)
        np.testing.assert_array_equal(y, (x + 1) % M)
        np.testing.assert_array_equal(x[1:], y[:-1])
    for (_, y), (x_next, _) in zip(windows, windows[1:]):
        np.testing.assert_array_equal(x_next[0], y[-1])
    stretch = M // N
    read = {(start + n * stretch + k) % M for n in range(N) for k in range(K * T)}
    targets = [int(token) for _, y in windows for token in y.ravel()]
    assert len(targets) == len(set(targets)) == K * N * T
    assert set(targets) == read


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(1, 8), st.integers(1, 12), st.integers(0, 999)
)
def test_contiguous_with_posts(lengths, N, T, start):
    """Lanes start at posts and continue; a moved start omits or repeats at most one post per lane."""
    posts = np.concatenate([[2] * length + [END] for length in lengths])
    M = len(posts)
    start %= M
    windows = list(contiguous(posts, N, T, start, end_of_post=END))
    K = M // N // T
    assert len(windows) == K
    if not windows:
        return
    assert (windows[0][0][0] == END).all()  # the first input of each lane
    for (_, y), (x_next, _) in zip(windows, windows[1:]):
        np.testing.assert_array_equal(x_next[0], y[-1])

    firsts = []
    for n in range(N):  # search back for the nearest token after an end of post
        at = (start + n * (M // N)) % M
        while posts[(at - 1) % M] != END:
            at -= 1
        firsts.append(at)
    whole = np.concatenate([y for _, y in windows])  # (K*T, N)
    for n, first in enumerate(firsts):
        np.testing.assert_array_equal(whole[:, n], posts[(first + np.arange(K * T)) % M])

    times = np.bincount(np.concatenate([(first + np.arange(K * T)) % M for first in firsts]), minlength=M)
    longest = max(lengths)
    assert times[times > 1].sum() - (times > 1).sum() <= N * longest
    assert (times == 0).sum() <= M - N * K * T + N * longest


def test_memory_map_gives_the_same_batches(tmp_path):
    ids = np.random.default_rng(0).integers(0, 9, 500).astype(np.int32)
    ids.tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", dtype=np.int32, mode="r")
    for cut in (contiguous, notebook):
        assert lists(cut(mapped, 3, 7)) == lists(cut(ids, 3, 7))
    assert lists(contiguous(mapped, 3, 7, 100, 5)) == lists(contiguous(ids, 3, 7, 100, 5))


@given(st.integers(2, 5000), st.integers(1, 64), st.integers(1, 128))
def test_fit_batch_shrinks_as_little_as_needed(tokens, N, T):
    n, t = fit_batch(tokens, N, T)
    assert 1 <= n <= N
    assert 1 <= t <= T
    assert windows_per_epoch(tokens, n, t) >= 1
    if tokens >= N * T:
        assert (n, t) == (N, T)
    assert t == min(T, tokens)
    assert n == N or (n + 1) * t > tokens


def test_fit_batch_by_hand():
    assert fit_batch(2048, 32, 64) == (32, 64)
    assert fit_batch(2047, 32, 64) == (31, 64)
    assert fit_batch(64, 32, 64) == (1, 64)
    assert fit_batch(63, 32, 64) == (1, 63)
    assert fit_batch(2, 32, 64) == (1, 2)


def posts_of(lengths):
    """Return ids of posts with these lengths, END after each: post k holds the tokens 100k + 2, 100k + 3, ..."""
    return np.array([token for k, n in enumerate(lengths) for token in (*range(100 * k + 2, 100 * k + 2 + n), END)])


def split_posts(ids):
    return [post.tolist() for post in np.split(ids, np.flatnonzero(ids == END) + 1)[:-1]]


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 99))
def test_shuffled_posts_are_the_posts_in_another_order(lengths, seed):
    """Each whole post once, in the order of the generator's permutation."""
    ids = posts_of(lengths)
    shuffled = ShuffledPosts(ids, END, np.random.default_rng(seed))
    posts = split_posts(ids)
    wanted = [posts[k] for k in np.random.default_rng(seed).permutation(len(posts))]
    assert split_posts(shuffled[np.arange(len(shuffled))]) == wanted
    assert sum(map(len, wanted)) == len(shuffled) == len(ids)


def test_shuffled_posts_of_a_text_that_ends_within_a_post():
    ids = np.array([2, END, 3, 4, END, 5])
    shuffled = ShuffledPosts(ids, END, np.random.default_rng(0))
    read = shuffled[np.arange(6)[::-1].reshape(2, 3)].ravel()[::-1].tolist()
    assert sorted(read) == sorted(ids)
    assert [*read, *read][read.index(3) :][:3] == [3, 4, END]


def test_posts_have_another_order_in_each_epoch_unless_they_continue_each_other():
    """In random order what follows a post differs between epochs; in that of the text each post's successor stays."""
    ids = posts_of([4] * 40)

    def successors(epoch, post_order):
        recipe = replace(STANDARD, post_order=post_order, batch_size=1, seq_len=5)
        read = np.concatenate([y.ravel() for _, y in Batches(ids, recipe, END).epoch(epoch)])
        firsts = [post[0] // 100 for post in split_posts(read)]
        assert sorted(firsts) == list(range(40))
        return dict(zip(firsts, firsts[1:]))

    one, other = successors(0, "random"), successors(1, "random")
    assert sum(other.get(post) == after for post, after in one.items()) < 10
    assert successors(0, "random") == one
    for epoch in range(3):
        assert all(after == (post + 1) % 40 for post, after in successors(epoch, "text").items())


def test_skipped_batches_of_shuffled_posts_are_those_of_the_whole_epoch():
    batches = Batches(posts_of([3, 0, 8, 5] * 9), replace(STANDARD, batch_size=3, seq_len=4), END)
    whole = lists(batches.epoch(2))
    assert lists(batches.epoch(2, skip=5)) == whole[5:]
    assert len(whole) == batches.steps_per_epoch > 5
