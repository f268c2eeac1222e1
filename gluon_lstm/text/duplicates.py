"""Set of post digests for finding duplicates in about 9 bytes for each post.

>>> posts = PostHashSet()
>>> posts.add("おはよう"), posts.add("おやすみ"), posts.add("おはよう")
(True, True, False)
>>> len(posts)
2
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from hashlib import blake2b

# maximum digests in a bucket: larger buckets slow insertion (a memmove), smaller ones take more memory for each post
_BUCKET_SIZE = 1024


class PostHashSet:
    """Set of posts that stores a 64-bit digest of each; the posts themselves cannot be recovered.

    The digests are in sorted arrays ("buckets") of at most 1,024 elements, ordered by their smallest element, as in the
    leaves of a B-tree. An array over-allocates by about one eighth, so a post takes 8 to 9 bytes. Splitting a bucket
    copies that bucket only, so peak memory is not doubled.

    Two different posts collide with a probability of n*n / 2**65: one in 37 million for a million posts.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q")]
        self._smallest = [0]  # smallest digest of each bucket, in ascending order
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, post: str) -> bool:
        """Add the post; return True when it is new."""
        digest = int.from_bytes(blake2b(post.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        which = bisect_right(self._smallest, digest) - 1
        bucket = self._buckets[which]
        place = bisect_left(bucket, digest)
        if place < len(bucket) and bucket[place] == digest:
            return False
        bucket.insert(place, digest)
        self._count += 1
        if len(bucket) > _BUCKET_SIZE:
            half = len(bucket) // 2
            self._buckets[which : which + 1] = [bucket[:half], bucket[half:]]
            self._smallest.insert(which + 1, bucket[half])
        return True
