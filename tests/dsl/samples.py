"""Sources that parse, one for each construct of the language; several test files read them."""


def body(text: str) -> str:
    """A block with these statements."""
    return "block B()(x: [N]) -> [N] {\n" + text + "\n}\n"


STATEMENTS = {
    "tuple targets": "(a, (b, c)) = f(x)",
    "stage names": "x = x -> block[i]: T5(3) -> a.b[i][j]: f -> (q: linear(3), k: linear(4)) -> (y) => y + 1",
    "stage tuples": "y = x -> ((a) => a) -> (f, (g, h)) -> (f,)",
    "if value": "return if n < 0.9 * v { n + by } else { n }",
    "if value over lines": "return if a {\n 1\n} else if b {\n  if c { 2 } else { 3 }\n}\nelse {\n 4\n}",
    "if statement": "if a { x = 1 }\nelse if b { y = 2 } else { f(x) }",
    "for": "for (w, d) in [(64, 3), (128, 4)] { }\nfor i in 0..n - 1 {\nx = x -> layer[i]: R(16)\n}",
    "scan": "scan x_t in x, axis = 1, carry (h = h0, c = c0) {\n    (h, c) = cell(x_t, h, c)\n    emit h as hs\n}",
    "scan counts": "scan t in 0..steps, carry (a = b,), reverse = true { }",
    "scan two": "scan x_t in x, c_t in c, axis = 1 {\n emit x_t + c_t as y\n}",
    "while": "while abs(x) > 1, carry (x = x0), max = 100 { x = step(x) }\nwhile a { }",
    "choice": "x = x -> choice op[i] { conv3: conv2d(w, 3),\n none: zero\n }",
    "choice without a name": 'h = choice { prev: h1, "b c": h0, }',
    "constraint": "constraint params <= 5e6",
    "assert": 'assert C % heads == 0, "heads must divide the width"\nassert a',
    "weights": 'param "layer1.0.w" as w: [64, 3] = zeros\nstate s: i64[] = zeros\nparam weight: [out, C / groups, *S]',
    "update": "running := (1 - m) * running + m * mu",
    "annotations": "@quant(weight = 4, act = 8)\n@keep y = x\n@keep\nreturn y",
    "index": "x = x[:, 0]\ny = x[..., 1:3]\nz = x[::2, -1, none][a:b:c]\nC = x.shape[1]",
    "lists": "z = [branch(k)(x) for k in [1, 3, 5]]\nq = []\nw = [1, 2,]\nt = ()\nu = (1,)",
    "line joins": "y = a\n  + b\n  - c\n  -> f\nz = f(\n a,\n b\n)\nw =\n a +\n b",
    "keywords as words": "y = f(training = training, state = 3) -> (param: g, none: h)",
    "operators": "x = not a == b and -c ** 2 < d or e // f % g @ h",
    "lambdas": "f = (a, b) => a @ b\ng = () => 3",
    "inputs": "(q, k, v) -> attention(8)",
    "numbers": "v = 1_000 + inf - 1e-5 + 2.5E3",
    "comments": "# first\ny = x -> a  # why\n      # between\n      -> b\n# last",
    "nested pipes": "x = x -> f(a -> g)\ny = [a -> f, b]\nz = if a { x -> f } else { x }",
    "parentheses": "x = a * (b + c)\ny = state[1]",
}
FILES = {
    "empty": "",
    "comment": "# only\n",
    "imports": 'language 1\n"""doc"""\nimport "./b.arch" as b\nimport std.norm\nfrom "./b.arch" import Stem as S, T',
    "const": "@shard(1)\nconst a: int = 3\nconst b = a",
    "expect": "expect A.B(depth = 1) at (N = 1, H = 2): output == [N, 10]\nexpect A: state == 3 and space == 1",
    "fn": "fn f(x, y = 1, mask: [N, T] = none) -> ([N, T, hidden], (h, c)) = x",
    "gradient": 'fn g(f: fn, b: block) -> int {\n  """Doc\n    more"""\n  return 1\n} grad (g) {\n return g\n}\n',
    "block": "block attention(heads: int, bias: bool = true)(x, memory) -> [*S] = x\n@keep\nmodel M()(x: f32[N]) { }",
    "language as a name": "fn language(x) = x",
    "dimensions": "fn f(v: [(H - 1) / 2 + 1, C // 2, _])\n    -> [1] {\n return v }",
    "docstring": 'fn f() {\n"""\n   "quoted"\n     deep\n   """\n}',
}
SOURCES = FILES | {name: body(text) for name, text in STATEMENTS.items()}
