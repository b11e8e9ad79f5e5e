"""Parts of `alternatives` that have to do with graphs."""

from benchmarks import sizes


def layers():
    """Layers of a graph's queries by unstack; by slices."""
    from keras import ops

    def unstack(queries):
        return sum(ops.square(x) for x in ops.unstack(queries, axis=1))

    def slices(queries):
        return sum(ops.square(queries[:, i]) for i in range(sizes.LAYERS))

    shape = (
        sizes.BATCH,
        sizes.LAYERS,
        sizes.HEADS,
        sizes.LENGTH,
        sizes.KEY_DIM,
    )
    return [unstack, slices], [sizes.tensor(*shape)]


def thresholds():
    """From the features, a column a head; from the queries."""
    from keras import ops

    def columns(x, kernel, threshold):
        heads = ops.reshape(
            kernel, (sizes.WIDTH, sizes.LAYERS, sizes.HEADS, sizes.KEY_DIM)
        )
        weights = ops.einsum("dlkc,lc->dlk", heads, threshold)
        values = ops.matmul(x, ops.reshape(weights, (sizes.WIDTH, -1)))
        return ops.sum(ops.matmul(x, kernel)) + values

    def queries(x, kernel, threshold):
        made = ops.matmul(x, kernel)
        heads = (
            sizes.BATCH,
            sizes.LENGTH,
            sizes.LAYERS,
            sizes.HEADS,
            sizes.KEY_DIM,
        )
        values = ops.einsum(
            "btlkc,lc->btlk", ops.reshape(made, heads), threshold
        )
        return ops.sum(made) + ops.reshape(
            values, (sizes.BATCH, sizes.LENGTH, -1)
        )

    return [columns, queries], [
        sizes.units(),
        sizes.tensor(
            sizes.WIDTH, sizes.LAYERS * sizes.HEADS * sizes.KEY_DIM, seed=1
        ),
        sizes.tensor(sizes.LAYERS, sizes.KEY_DIM, seed=2),
    ]


def weighted_sum():
    """Divided after the sum; before it; in two causal halves; in float32."""
    import functools

    from keras import ops

    from glomo_keras.ops import graphs
    from glomo_keras.ops import weighted_sum as op

    def after(queries, keys, features):
        return op.weighted_sum(sizes.factors(queries, keys), features)

    def before(queries, keys, features):
        graph = graphs.materialize(
            sizes.factors(queries, keys),
            direction="forward",
            activation="squared_relu",
        )
        values = ops.cast(op.split_heads(features, sizes.HEADS), graph.dtype)
        return op.join_heads(ops.matmul(graph, values))

    def causal_halves(queries, keys, features):
        values = op.split_heads(features, sizes.HEADS)
        rows = functools.partial(
            op.sum_over_edges,
            padding_mask=None,
            direction="forward",
            activation="squared_relu",
        )
        graph, half = sizes.factors(queries, keys), sizes.LENGTH // 2
        first = {name: x[:, :, :half] for name, x in graph.items()}
        sums = [
            rows(None, None, first, values[:, :, :half]),
            rows(ops.arange(half, sizes.LENGTH), None, graph, values),
        ]
        return op.join_heads(ops.concatenate(sums, axis=2))

    def float32_products(*arguments):
        return after(*(ops.cast(x, "float32") for x in arguments))

    heads = (sizes.BATCH, sizes.HEADS, sizes.LENGTH, sizes.KEY_DIM)
    return [after, before, causal_halves, float32_products], [
        sizes.tensor(*heads),
        sizes.tensor(*heads, seed=1),
        sizes.units(),
    ]


def decoded_rows():
    """The last layer's sum at 20 positions; at all."""
    from glomo_keras.ops.weighted_sum import weighted_sum
    from keras import ops

    positions = ops.arange(20) * 9

    def graph(x, kernel, keys, rows):
        queries = ops.reshape(
            ops.matmul(x, kernel), (sizes.BATCH, -1, sizes.HEADS, sizes.KEY_DIM)
        )
        queries = ops.transpose(queries, (0, 2, 1, 3))
        made = sizes.factors(queries, keys)
        return made if rows is None else {**made, "positions": rows}

    def decoded(x, kernel, keys, features):
        rows = ops.take(x, positions, axis=1)
        return weighted_sum(graph(rows, kernel, keys, positions), features)

    def everywhere(x, kernel, keys, features):
        total = weighted_sum(graph(x, kernel, keys, None), features)
        return ops.take(total, positions, axis=1)

    return [decoded, everywhere], [
        sizes.units(),
        sizes.tensor(sizes.WIDTH, sizes.HEADS * sizes.KEY_DIM, seed=1),
        sizes.tensor(
            sizes.BATCH, sizes.HEADS, sizes.LENGTH, sizes.KEY_DIM, seed=2
        ),
        sizes.tensor(sizes.BATCH, sizes.LENGTH, sizes.WIDTH, seed=3),
    ]


def edges():
    """Limited to 0 where there is no edge, times the inverse sum; chosen."""
    from keras import ops

    from glomo_keras.ops import edges as op

    shape = (sizes.BATCH, sizes.HEADS, sizes.LENGTH, sizes.KEY_DIM)
    at = ops.arange(sizes.LENGTH)
    admissible = op.admissible_edges(at, at, "forward")

    def limited(queries, keys):
        thresholds = ops.zeros_like(queries[..., 0])
        weights = op.edge_weights(
            queries, keys, thresholds, admissible, "squared_relu"
        )
        return op.normalize_rows(weights)

    def chosen(queries, keys):
        scores = op.matmul_to_float32(queries, ops.swapaxes(keys, -1, -2))
        scores = ops.relu(scores - ops.zeros_like(scores[..., :1]))
        weights = ops.square(ops.where(admissible, scores, 0.0))
        return ops.divide_no_nan(weights, op.row_sums(weights))

    return [limited, chosen], [
        sizes.tensor(*shape),
        sizes.tensor(*shape, seed=1),
    ]


def _mixed_heads(mixtures):
    """Heads times weights of each receiver: arrays added up, an einsum."""
    from keras import ops

    def sums(weights, graphs):
        shares = ops.expand_dims(ops.transpose(weights, (0, 2, 3, 1)), -1)
        return ops.sum(ops.expand_dims(graphs, 1) * shares, axis=2)

    def einsum(weights, graphs):
        return ops.einsum("btnk,bktx->bntx", weights, graphs)

    ways = [sums, einsum] if mixtures == 1 else [einsum, sums]
    batch, length, heads = sizes.BATCH, sizes.LENGTH, sizes.HEADS
    return ways, [
        sizes.tensor(batch, length, mixtures, heads),
        sizes.tensor(batch, heads, length, length, seed=1),
    ]


def one_mixture():
    """Heads mixed into one graph: arrays added up; an einsum."""
    return _mixed_heads(1)


def two_mixtures():
    """Heads mixed into two graphs: an einsum; arrays added up."""
    return _mixed_heads(2)


def row_groups():
    """A graph of 512 units by four groups of rows; by two, eight; at once."""
    from glomo_keras.ops import graphs

    options = {
        "padding_mask": None,
        "direction": "forward",
        "activation": "squared_relu",
    }

    def by_groups(count):
        def way(queries, keys):
            factors = sizes.factors(queries, keys)
            return graphs.join_row_groups(factors, count, **options)

        return way

    names = {"four": 4, "two": 2, "eight": 8, "at once": 1}
    shape = (1, sizes.LAYERS, sizes.HEADS, 512, sizes.KEY_DIM)
    return {name: by_groups(count) for name, count in names.items()}, [
        sizes.tensor(*shape),
        sizes.tensor(*shape, seed=1),
    ]
