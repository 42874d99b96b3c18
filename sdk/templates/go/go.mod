module acme

go 1.25

require aiv-sdk v0.0.0

require go.bytecodealliance.org/pkg v0.2.3 // indirect

replace aiv-sdk => ./aiv-sdk

replace go.bytecodealliance.org/pkg => ./aiv-sdk/pkg
