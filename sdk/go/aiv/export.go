package aiv

import (
	"encoding/json"
	"fmt"

	"aiv-sdk/wit/aiv_provider_engine"
	"aiv-sdk/wit/aiv_provider_types"
	"aiv-sdk/wit/export_aiv_provider_engine"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Export makes a provider the component's export. It is called in an init function.
func Export(provider Provider) { export_aiv_provider_engine.Exported = adapter{provider} }

type adapter struct{ provider Provider }

func (a adapter) Describe() aiv_provider_engine.Manifest { return toManifest(a.provider.Describe()) }

func (a adapter) HealthCheck(config string) wit.Option[aiv_provider_types.HttpRequest] {
	request := a.provider.HealthCheck(config)
	if request == nil {
		return wit.None[aiv_provider_types.HttpRequest]()
	}
	sent, err := toRequest(*request)
	if err != nil {
		return wit.None[aiv_provider_types.HttpRequest]()
	}
	return wit.Some(sent)
}

func (a adapter) Start(query aiv_provider_engine.Query) aiv_provider_engine.Step {
	return step(InvalidRequest, nil, func() (Next, error) { return a.provider.Start(fromQuery(query)) })
}

func (a adapter) Resume(state []uint8, event aiv_provider_engine.Event) aiv_provider_engine.Step {
	came := fromEvent(event)
	var status *uint16
	if came.Response != nil {
		status = &came.Response.Status
	}
	return step(MalformedResponse, status, func() (Next, error) {
		if !json.Valid(state) {
			return nil, badState(fmt.Errorf("it is not JSON"))
		}
		return a.provider.Resume(state, came)
	})
}

// step: what the vendor sent cannot end the plugin, a panic becomes a failure.
func step(kind ErrorKind, status *uint16, next func() (Next, error)) (made aiv_provider_engine.Step) {
	defer func() {
		if cause := recover(); cause != nil {
			made = failed(failureOf(fmt.Errorf("%v", cause), kind, status))
		}
	}()
	wanted, err := next()
	if err != nil {
		return failed(failureOf(err, kind, status))
	}
	switch wanted := wanted.(type) {
	case Fetch:
		state, err := json.Marshal(wanted.State)
		if err != nil {
			return failed(badState(err))
		}
		request, err := toRequest(wanted.Request)
		if err != nil {
			return failed(Fail(InvalidRequest, "body cannot be sent: "+err.Error()))
		}
		return aiv_provider_engine.MakeStepFetch(aiv_provider_engine.Fetch{State: state, Request: request})
	case Pause:
		state, err := json.Marshal(wanted.State)
		if err != nil {
			return failed(badState(err))
		}
		return aiv_provider_engine.MakeStepPause(aiv_provider_engine.Pause{State: state, DelayMs: wanted.DelayMs})
	case Done:
		return aiv_provider_engine.MakeStepDone(toOutcome(wanted.Outcome))
	}
	return failed(failureOf(fmt.Errorf("%T is no step", wanted), kind, status))
}

func failed(failure *Failure) aiv_provider_engine.Step {
	return aiv_provider_engine.MakeStepFailed(toFailure(failure))
}
