package aiv

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// Eighteen places; what comes after cannot change a rounded micro-dollar.
const scale = 18

var (
	one    = new(big.Int).Exp(big.NewInt(10), big.NewInt(scale), nil)
	half   = new(big.Int).Rsh(one, 1)
	maxU32 = big.NewInt(0xffffffff)
	number = regexp.MustCompile(`^\+?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$`)
)

// Decimal is a non-negative decimal number without floating point.
type Decimal struct{ units *big.Int }

// ParseDecimal reads 12, 0.03073, 1e-05 and the like; anything else is nil.
func ParseDecimal(text string) *Decimal {
	found := number.FindStringSubmatch(strings.TrimSpace(text))
	if found == nil || found[1]+found[2] == "" {
		return nil
	}
	exponent, _ := strconv.Atoi(found[3])
	shift := scale - len(found[2]) + exponent
	digits := strings.TrimLeft(found[1]+found[2], "0")
	if digits == "" || len(digits)+shift <= 0 {
		return &Decimal{new(big.Int)}
	}
	if len(digits)+shift > 60 {
		return nil
	}
	if shift < 0 {
		digits = digits[:len(digits)+shift]
	} else {
		digits += strings.Repeat("0", shift)
	}
	units, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return nil
	}
	return &Decimal{units}
}

// Plus is the sum.
func (d *Decimal) Plus(other *Decimal) *Decimal {
	return &Decimal{new(big.Int).Add(d.units, other.units)}
}

// Times is the product with a count.
func (d *Decimal) Times(count uint32) *Decimal {
	return &Decimal{new(big.Int).Mul(d.units, big.NewInt(int64(count)))}
}

// Round is the nearest whole number, halves up.
func (d *Decimal) Round() uint32 {
	whole := new(big.Int).Div(new(big.Int).Add(d.units, half), one)
	if whole.Cmp(maxU32) > 0 {
		whole = maxU32
	}
	return uint32(whole.Uint64())
}

// Whole is the number itself, if it is whole and fits.
func (d *Decimal) Whole() *uint32 {
	whole, rest := new(big.Int).DivMod(d.units, one, new(big.Int))
	if rest.Sign() != 0 || whole.Cmp(maxU32) > 0 {
		return nil
	}
	value := uint32(whole.Uint64())
	return &value
}

// ReportedCost is an amount of dollars that the vendor itself reported; nil stays nil.
func ReportedCost(usd *Decimal) *Cost {
	if usd == nil {
		return nil
	}
	return &Cost{usd.Times(1_000_000).Round(), Reported}
}

// EstimatedCost was worked out from a price list.
func EstimatedCost(microUSD uint32) *Cost { return &Cost{microUSD, Estimated} }
