// Package runtime hands out the memory through which a component and its host exchange values. Same
// names and behaviour as in go.bytecodealliance.org/pkg (Apache-2.0 WITH LLVM-exception).
package runtime

import (
	"runtime"
	"unsafe"
)

// What the host's arguments lie in, until the call that got them is over.
var arguments runtime.Pinner

// Before this is set there is no garbage collector to take memory from.
var started = false

func init() { started = true }

// Allocate is memory that stays where it is until the pinner lets go of it.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	// Eight bytes are the largest alignment that the canonical ABI asks for.
	pointer := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	if uintptr(pointer)%align != 0 {
		panic("memory is not aligned")
	}
	pinner.Pin(pointer)
	return pointer
}

// Unpin lets go of the arguments of the last call.
func Unpin() { arguments.Unpin() }

//go:linkname sbrk runtime.sbrk
func sbrk(size uintptr) unsafe.Pointer

// The host asks for memory here, the first time before Go itself has started.
//
//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if old != nil || oldSize != 0 {
		panic("memory never grows in place")
	}
	if started {
		return Allocate(&arguments, size, align)
	}
	start := sbrk(size + align)
	return unsafe.Add(start, (align-uintptr(start)%align)%align)
}
