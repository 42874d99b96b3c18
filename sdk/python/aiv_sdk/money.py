"""Money without floating point."""

import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

from wit_world.imports.types import Cost, CostBasis

_NUMBER = re.compile(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,5})?", re.ASCII)
_EXACT = Context(prec=80)
# Longer numbers than any price are refused before they become huge.
_LARGEST = Decimal(10) ** 30
_MAX_U32 = 0xFFFFFFFF


def decimal(value):
    """A non-negative decimal number: `12`, `0.03073`, `1e-05`. Anything else is None."""
    if isinstance(value, Decimal | int):
        number = Decimal(value)
    elif isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = Decimal(value.strip())
    else:
        return None
    return number if number.is_finite() and 0 <= number < _LARGEST else None


def to_whole(number):
    """The number itself, if it is whole and fits."""
    return int(number) if number == number.to_integral_value() and number <= _MAX_U32 else None


def rounded(number):
    """The nearest whole number, halves up."""
    # What is below the eighteenth place cannot turn a number under one half into one above.
    cut = number.quantize(Decimal("1e-18"), rounding=ROUND_DOWN, context=_EXACT)
    whole = int(cut.quantize(Decimal(1), rounding=ROUND_HALF_UP, context=_EXACT))
    return min(whole, _MAX_U32)


def micro_usd(usd):
    """An amount of dollars in micro-dollars, halves up."""
    return rounded(_EXACT.multiply(usd, Decimal(1_000_000)))


def reported(usd):
    """A cost that the vendor itself reported, in dollars."""
    return Cost(micro_usd(usd), CostBasis.REPORTED)


def estimated(micro_dollars):
    """A cost worked out from a price list, in micro-dollars."""
    return Cost(micro_dollars, CostBasis.ESTIMATED)
