"""Which posts have been seen before, exactly enough and in few bytes.

>>> seen = SeenPosts()
>>> seen.add("おはよう"), seen.add("おやすみ"), seen.add("おはよう")
(True, True, False)
>>> len(seen)
2
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from hashlib import blake2b

# A bucket this long is cut in two. Longer ones make inserting slower (a memmove), shorter ones cost more per post.
_BUCKET = 1024


class SeenPosts:
    """A set of posts that keeps 64 bits of each: it can tell whether a post is new, not what the posts were.

    The digests live in sorted arrays of at most 1,024 numbers, the arrays in the order of their smallest number, as the
    leaves of a B-tree do. An array has about one eighth to spare, so a post costs 8 to 9 bytes, and cutting an
    array in two copies that one alone: there is no moment at which everything is held twice.

    Two different posts are taken for the same with a probability of n*n / 2**65: one in 37 million for a million posts.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q")]
        self._smallest = [0]  # of each bucket: the bucket of a digest is the last whose smallest number is not above it
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, post: str) -> bool:
        """Remember the post; True when it was new."""
        digest = int.from_bytes(blake2b(post.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        which = bisect_right(self._smallest, digest) - 1
        bucket = self._buckets[which]
        place = bisect_left(bucket, digest)
        if place < len(bucket) and bucket[place] == digest:
            return False
        bucket.insert(place, digest)
        self._count += 1
        if len(bucket) > _BUCKET:
            half = len(bucket) // 2
            self._buckets[which : which + 1] = [bucket[:half], bucket[half:]]
            self._smallest.insert(which + 1, bucket[half])
        return True
