// Package export_aiv_provider_engine is what the generated exports call. It hands everything to
// the provider that aiv.Export was given.
package export_aiv_provider_engine

import (
	"aiv-sdk/wit/aiv_provider_engine"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

// Engine is the component's export.
type Engine interface {
	Describe() aiv_provider_engine.Manifest
	HealthCheck(config string) witTypes.Option[aiv_provider_engine.HttpRequest]
	Start(query aiv_provider_engine.Query) aiv_provider_engine.Step
	Resume(state []uint8, event aiv_provider_engine.Event) aiv_provider_engine.Step
}

// Exported is set once, before the host calls anything.
var Exported Engine

// Describe says what the plugin is and what it asks for.
func Describe() aiv_provider_engine.Manifest { return Exported.Describe() }

// HealthCheck is a free request that proves that the credential works, or none.
func HealthCheck(config string) witTypes.Option[aiv_provider_engine.HttpRequest] {
	return Exported.HealthCheck(config)
}

// Start is the first step for a query.
func Start(query aiv_provider_engine.Query) aiv_provider_engine.Step { return Exported.Start(query) }

// Resume is the step after an event.
func Resume(state []uint8, event aiv_provider_engine.Event) aiv_provider_engine.Step {
	return Exported.Resume(state, event)
}
