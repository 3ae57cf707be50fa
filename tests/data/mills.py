"""Fits the Mills ratio polynomial of `src/pricing/elementary.rs` and prints its coefficients.

M(x) = N(-x) / phi(x) for x >= 0. With t = 1 - 9 / (x + 4.5), which maps [0, inf) onto [-1, 1), the product
(x + 4.5) M(x) is smooth up to t = 1 (where it is 1), so a Chebyshev interpolant converges geometrically. The interval
is taken slightly wider than needed: the kernel calls M down to x = -0.02 when a strike is at the money.

    python3 mills.py [degree]
"""

import sys

from mpmath import mp, mpf, cos, pi, erfc, exp, sqrt, matrix

mp.dps = 60
DEGREE = int(sys.argv[1]) if len(sys.argv) > 1 else 22
SHIFT = mpf("4.5")
X_MIN = mpf("-0.02")


def mills(x):
    if x > 10**6:
        return sum((-1) ** k * mp.fac2(2 * k - 1) / x ** (2 * k + 1) for k in range(6))
    return sqrt(pi / 2) * exp(x * x / 2) * erfc(x / sqrt(mpf(2)))


def scaled(t):
    """(x + 4.5) M(x) at t; exactly 1 in the limit t = 1."""
    gap = 1 - t
    if gap <= 0:
        return mpf(1)
    x = 9 / gap - SHIFT
    return (x + SHIFT) * mills(x)


def fit(degree):
    low, high = 1 - 9 / (X_MIN + SHIFT), mpf(1)
    middle, half = (low + high) / 2, (high - low) / 2
    nodes = [middle + half * cos(pi * (2 * k + 1) / (2 * (degree + 1))) for k in range(degree + 1)]
    divided = [scaled(t) for t in nodes]
    for order in range(1, degree + 1):
        for k in range(degree, order - 1, -1):
            divided[k] = (divided[k] - divided[k - 1]) / (nodes[k] - nodes[k - order])
    monomial = [mpf(0)]
    for k in range(degree, -1, -1):
        shifted = [mpf(0)] + monomial
        for i, c in enumerate(monomial):
            shifted[i] -= nodes[k] * c
        shifted[0] += divided[k]
        monomial = shifted
    return monomial[: degree + 1]


def main():
    coefficients = [float(c) for c in fit(DEGREE)]
    worst_fit = worst_f64 = mpf(0)
    for k in range(4001):
        x = mpf(40) * (mpf(k) / 4000) ** 2
        exact = mills(x)
        xd = float(x)
        exact_d = mills(mpf(xd))
        t = 1.0 - 9.0 / (xd + 4.5)
        tm = 1 - 9 / (x + SHIFT)
        p, pm = 0.0, mpf(0)
        for c in reversed(coefficients):
            p, pm = p * t + c, pm * tm + mpf(c)
        worst_fit = max(worst_fit, abs(pm / (x + SHIFT) / exact - 1))
        worst_f64 = max(worst_f64, abs(mpf(p / (xd + 4.5)) / exact_d - 1))
    print(f"// degree {DEGREE}: fit {float(worst_fit):.1e}, evaluated in doubles {float(worst_f64):.1e} (relative, 0..40)")
    for c in coefficients:
        print(f"    {c!r},")


main()
