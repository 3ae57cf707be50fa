"""Fits the Mills ratio of `src/pricing/elementary.rs` and prints its coefficients.

M(x) = N(-x) / phi(x) as P(x) / Q(x), degrees 9 and 10: interpolated at Chebyshev nodes of t = (x - 4) / (x + 4), which
spreads them evenly over the relative error. The interval reaches from -0.02, where the kernel calls M when a strike is at
the money, to 39, beyond which phi is no longer a double; past it the quotient goes to 1 / x as M does. All coefficients
come out positive, so nothing cancels.

    python3 mills.py
"""

from mpmath import mp, mpf, cos, pi, erfc, exp, sqrt, matrix, lu_solve

mp.dps = 60
P_DEGREE, Q_DEGREE = 9, 10
CENTRE = mpf(4)
X_MIN, X_MAX = mpf("-0.02"), mpf(39)


def mills(x):
    return sqrt(pi / 2) * exp(x * x / 2) * erfc(x / sqrt(mpf(2)))


def x_at(share):
    """The argument at a share, 0 to 1, of the interval of t."""
    low, high = [(x - CENTRE) / (x + CENTRE) for x in (X_MIN, X_MAX)]
    t = low + (high - low) * share
    return CENTRE * (1 + t) / (1 - t)


def fit():
    """P and Q with Q(0) = 1, from P(x) - M(x) Q(x) = 0 at the nodes."""
    n = P_DEGREE + Q_DEGREE + 1
    system, right = matrix(n, n), matrix(n, 1)
    for i in range(n):
        x = x_at((1 + cos(pi * (2 * i + 1) / (2 * n))) / 2)
        m, scale = mills(x), max(x, 1) ** (1 - Q_DEGREE)
        for j in range(P_DEGREE + 1):
            system[i, j] = scale * x**j
        for j in range(1, Q_DEGREE + 1):
            system[i, P_DEGREE + j] = -scale * m * x**j
        right[i] = scale * m
    solution = list(lu_solve(system, right))
    return solution[: P_DEGREE + 1], [mpf(1)] + solution[P_DEGREE + 1 :]


def value(coefficients, x):
    """By even and odd powers, in the arithmetic of `x`."""
    even = odd = x * 0
    for c in reversed(coefficients[0::2]):
        even = even * (x * x) + c
    for c in reversed(coefficients[1::2]):
        odd = odd * (x * x) + c
    return even + odd * x


def main():
    p, q = [[float(c) for c in part] for part in fit()]
    worst_fit = worst_f64 = mpf(0)
    for k in range(4001):
        x = float(x_at(mpf(k) / 4000))
        exact = mills(mpf(x))
        worst_fit = max(worst_fit, abs(value([mpf(c) for c in p], mpf(x)) / value([mpf(c) for c in q], mpf(x)) / exact - 1))
        worst_f64 = max(worst_f64, abs(value(p, x) / value(q, x) / exact - 1))
    print(f"worst relative error: {float(worst_fit):.2e}, evaluated in doubles {float(worst_f64):.2e}")
    for name, part in (("P", p), ("Q", q)):
        print(name, *part, sep="\n    ")


if __name__ == "__main__":
    main()
