"""Writes black76.csv: options and their Black-76 values to 17 digits, computed with 50.

Inputs are the doubles that their decimals round to, so the table and the code under test price the same option. Half the
strikes are drawn log-uniformly from 0.2 to 5 times the forward; half within eight standard deviations of it, where the
values are. Outputs below 1e-300 are written as 0.

    pip install mpmath && python3 black76.py > black76.csv
"""

import random

from mpmath import mp, mpf, erfc, exp, log, nstr, pi, sqrt

mp.dps = 50
COUNT = 2_200
MINUTES_10, YEARS_2 = 600 / (365 * 86_400), 2.0


def tail(x):
    """N(x)."""
    return erfc(-x / sqrt(mpf(2))) / 2


def significant(value, digits):
    return float(f"{value:.{digits}g}")


def main():
    draw = random.Random(76)
    print("forward,strike,sigma,years,out_of_the_money,call_delta,vega,vanna,volga")
    for i in range(COUNT):
        forward = significant(10 ** draw.uniform(0, 5), 8)
        sigma = significant(0.2 * 15 ** draw.random(), 4)
        years = significant(MINUTES_10 * (YEARS_2 / MINUTES_10) ** draw.random(), 6)
        if i % 2:
            k = draw.uniform(-1.6, 1.6)
        else:
            k = max(-1.6, min(1.6, draw.uniform(-8, 8) * sigma * years**0.5))
        strike = significant(forward * float(exp(k)), 9)

        f, x, v, t = mpf(forward), mpf(strike), mpf(sigma), mpf(years)
        s = v * sqrt(t)
        d1 = log(f / x) / s + s / 2
        d2 = d1 - s
        density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
        value = f * tail(d1) - x * tail(d2) if x >= f else x * tail(-d2) - f * tail(-d1)
        vega = f * density * sqrt(t)
        row = [value, tail(d1), vega, -density * d2 / v, vega * d1 * d2 / v]
        inputs = [repr(forward), repr(strike), repr(sigma), repr(years)]
        print(",".join(inputs + [nstr(r, 17) if abs(r) > 1e-300 else "0" for r in row]))


if __name__ == "__main__":
    main()
