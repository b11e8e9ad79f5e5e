"""Compares what two preparations of one corpus have written."""


def check_same_caches(one, two):
    """Asserts that two caches hold the same shards and ids, byte for byte.

    Args:
        one, two: `pathlib.Path`, each the cache of `prepare_corpus`.
    """
    patterns = ("tokens-*/shard-*.npz", "tokens-*/ids-*/*.*")
    paths = [sorted(one.glob(pattern)) for pattern in patterns]
    assert all(paths)
    for path in sum(paths, []):
        if path.name != "manifest.json":  # has the times of the files
            other = two / path.relative_to(one)
            assert other.read_bytes() == path.read_bytes(), path
    assert len(list(two.glob(patterns[0]))) == len(paths[0])
