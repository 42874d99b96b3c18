// Package wit_types has the types that generated bindings use: an option and a pair. Same names and
// behaviour as in go.bytecodealliance.org/pkg (Apache-2.0 WITH LLVM-exception).
package wit_types

// The tags of an Option.
const (
	OptionNone = 0
	OptionSome = 1
)

// Option is a value that may be missing.
type Option[T any] struct {
	tag   uint8
	value T
}

// None has no value.
func None[T any]() Option[T] { return Option[T]{} }

// Some has this value.
func Some[T any](value T) Option[T] { return Option[T]{OptionSome, value} }

// Tag is OptionNone or OptionSome.
func (o Option[T]) Tag() uint8 { return o.tag }

// Some is the value. It panics when there is none.
func (o Option[T]) Some() T {
	if o.tag != OptionSome {
		panic("the option has no value")
	}
	return o.value
}

// Tuple2 is a pair.
type Tuple2[A, B any] struct {
	F0 A
	F1 B
}
