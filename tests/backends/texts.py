"""Small models whose text with blocks is hard to get right."""

TEXTS = {
    "a block without inputs": """
        block Table(n: int)() {
            param weight: [n, 4] = normal(0.02)
            return relu(exp(weight) * 2)
        }

        model M()(x: [N, 4]) { return x + sum(Table(3)(), axis = 0) }
        """,
    "an instance in both modes": """
        from std import linear, dropout

        block A()(x: [N, C]) {
            f = linear(C)
            if training { x = x -> f -> dropout(0.5) -> f } else { x = f(x) * 2 }
            x = dropout(0.1)(x)
            return x
        }

        model M()(x: [N, 4]) {
            for i in 0..3 { x = x -> layer[i]: A() }
            return x
        }
        """,
    "states of which one needs the other": """
        block Count()(x: [N, C]) {
            state seen: [C] = zeros
            state other: [C] = ones
            if training {
                seen := seen + sum(x, axis = 0)
                other := other * seen
            }
            return x * seen - other
        }

        model M()(x: [N, 4]) {
            for i in 0..3 { x = x -> layer[i]: Count() }
            return x
        }
        """,
    "a loop in a block": """
        block W()(x: [N, T]) {
            param w: [1] = ones
            while any(
                sum(x * x * w) < 10 * T and sum(x * x * x - 1) != 0 and sum(x * x * x + 2) != N
            ), carry (x = x), max = 7 { x = x * 2 + w }
            return x
        }

        model M()(x: [N, T]) {
            for i in 0..3 { x = x -> layer[i]: W() }
            return x
        }
        """,
    "a choice in a block, with a size in one alternative": """
        from std import linear

        block W()(x: [N, C]) {
            x = x -> choice kind {
                a: linear(C),
                b: relu,
                c: (y) => reshape(reshape(y, [N * 2, C // 2]), [N, C])
            }
            return x + 1
        }

        model M()(x: [N, 4]) {
            for i in 0..3 { x = x -> layer[i]: W() }
            return x
        }
        """,
    "a gradient of its own in a block": """
        fn spike(v: [*S], w: [*R]) -> [*S] { return where(v >= 0, 1.0, 0.0) * sum(w) } grad (g) {
            return (g / (1 + abs(v)) ** 2, w)
        }

        block W()(x: [N, C]) {
            param w: [C] = ones
            return spike(x, w) + x
        }

        model M()(x: [N, 4]) {
            for i in 0..3 { x = x -> layer[i]: W() }
            return x
        }
        """,
    "sizes that are read off inputs": """
        from std import conv2d, linear

        block E()(x: [N, C, H, W]) {
            y = x -> conv: conv2d(C, 3, stride = 2, padding = 1)
            return reshape(y, [N, C, -1]) -> transpose([0, 2, 1]) -> proj: linear(C) -> relu
        }

        model M()(x: [N, 4, H, W]) {
            x = x -> a: conv2d(4, 3, stride = 2, padding = 1) -> b: conv2d(4, 3, stride = 2, padding = 1)
            return x -> e: E()
        }
        """,
    "a size that no input has": """
        block P(t: int)(x: [N, C]) {
            param w: [C] = ones
            return x + sum(cast(arange(t), float)) * exp(w) * tanh(w)
        }

        model M()(x: [N, 4], y: [T, 3]) {
            T = y.shape[0]
            for i in 0..2 { x = x -> layer[i]: P(T) }
            return (x, y)
        }
        """,
    "results that change places": """
        block P()(x: [N, C], y: [N, C]) {
            param w: [C] = ones
            return (x * w + y, y * w - exp(x))
        }

        model M()(x: [N, 4], y: [N, 4]) {
            for i in 0..3 { (x, y) = (x, y) -> layer[i]: P() }
            return (y, x)
        }
        """,
    "layers with states in a scan": """
        from std import lstm_cell, batch_norm

        block P()(x: [N, T, C]) {
            cell = lstm_cell(C)
            norm = batch_norm()
            scan x_t in x, axis = 1, carry (h = zeros([N, C]), c = zeros([N, C])) {
                (h, c) = cell(norm(x_t), h, c)
                emit h as hs
                emit h + c as both
            }
            return hs + both + unsqueeze(h, 1)
        }

        model M()(x: [N, T, 4]) {
            for i in 0..2 { x = x -> layer[i]: P() }
            return x
        }
        """,
    "a list of instances that is applied twice": """
        from std import linear

        model M()(x: [N, 4]) {
            layers = [linear(4) for i in 0..2]
            for i in 0..2 { x = x -> layer[i]: layers[i] -> relu }
            for i in 0..2 { x = x -> layers[i] -> relu }
            return x
        }
        """,
    "annotations": """
        from std import linear

        @model_fact(3)
        model M()(x: [N, 4]) {
            @keep
            x = x -> a: linear(4) -> relu
            @quant(weight = 4, act = 8)
            if training {
                x = x * 2
                @deep
                x = exp(x) + 1
            }
            for i in 0..4 {
                if i == 2 {
                    @sparse(0.9)
                    x = x -> layer[i]: linear(4)
                } else { x = x -> layer[i]: linear(4) }
            }
            return x
        }
        """,
}
