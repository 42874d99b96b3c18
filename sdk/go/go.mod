module aiv-sdk

go 1.25

require go.bytecodealliance.org/pkg v0.2.3

// The part of it that the generated code needs, so that a build needs no module proxy.
replace go.bytecodealliance.org/pkg => ./pkg
