// Money without floating point: eighteen places, in a BigInt that never crosses the component's
// border.

const SCALE = 18;
const ONE = 10n ** BigInt(SCALE);
const MAX_U32 = 0xffffffffn;
// Longer numbers than any price are refused before they become huge BigInts.
const MAX_PLACES = 60;

/** A non-negative decimal number. */
export class Decimal {
  static ZERO = new Decimal(0n);

  constructor(units) {
    this.units = units;
  }

  /**
   * Reads `12`, `0.03073`, `1e-05` and numbers of JSON, whose shortest form is exact up to fifteen
   * digits. Anything else, also a negative number, is `undefined`.
   */
  static parse(value) {
    const found = /^\+?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$/.exec(String(value).trim());
    if (!found) return undefined;
    const [, whole, fraction = "", exponent = "0"] = found;
    let digits = whole + fraction;
    if (digits === "") return undefined;
    // The number of places that the last digit is left of the last one kept.
    const shift = SCALE - fraction.length + Number(exponent);
    digits = digits.replace(/^0+/, "");
    if (digits === "" || digits.length + shift <= 0) return Decimal.ZERO;
    if (digits.length + shift > MAX_PLACES) return undefined;
    // What is cut off cannot turn a number under one half into one above.
    const kept = shift < 0 ? digits.slice(0, shift) : digits + "0".repeat(shift);
    return new Decimal(BigInt(kept));
  }

  /** The sum. */
  plus(other) {
    return new Decimal(this.units + other.units);
  }

  /** The product with a count. */
  times(count) {
    return new Decimal(this.units * BigInt(count));
  }

  /** The nearest whole number, halves up. */
  round() {
    const whole = this.units / ONE + (this.units % ONE >= ONE / 2n ? 1n : 0n);
    return Number(whole > MAX_U32 ? MAX_U32 : whole);
  }

  /** The number itself, if it is whole and fits. */
  toWhole() {
    const whole = this.units / ONE;
    return this.units % ONE === 0n && whole <= MAX_U32 ? Number(whole) : undefined;
  }

  /** An amount of dollars in micro-dollars, halves up. */
  microUsd() {
    return this.times(1_000_000).round();
  }
}

/** A cost that the vendor itself reported, in dollars. */
export function reported(usd) {
  return { microUsd: usd.microUsd(), basis: "reported" };
}

/** A cost worked out from a price list, in micro-dollars. */
export function estimated(microUsd) {
  return { microUsd, basis: "estimated" };
}
