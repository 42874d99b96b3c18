// Package aiv is what a provider for the AI visibility platform is written with in Go.
//
// A provider is a pure function from events to steps. It opens no socket, reads no clock and never
// sees a credential; the host does all of that. Export makes the component's export of one:
//
//	func init() { aiv.Export(aiv.Single(Acme{})) }
package aiv

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Next is what a provider wants next: a Fetch, a Pause or a Done.
type Next interface{ isNext() }

// Fetch sends a request; its response comes to Resume together with the state.
type Fetch struct {
	Request Request
	// State is stored as JSON: all that survives from one call to the next.
	State any
}

// Pause comes back after so many milliseconds, with the state.
type Pause struct {
	DelayMs uint32
	State   any
}

// Done settles the query.
type Done struct{ Outcome Outcome }

func (Fetch) isNext() {}
func (Pause) isNext() {}
func (Done) isNext()  {}

// Event is what a provider waited for. Exactly one of the three is set.
type Event struct {
	Response *Response
	// TransportError is a failure that says why there is no response.
	TransportError *Failure
	Resumed        bool
}

// Reply is the response that a fetch was waiting for.
func (e Event) Reply() (*Response, error) {
	switch {
	case e.Response != nil:
		return e.Response, nil
	case e.TransportError != nil:
		return nil, e.TransportError
	}
	return nil, Fail(InvalidRequest, "resumed from a pause that was not asked for")
}

// Provider needs several requests for one query, or has to wait in between.
type Provider interface {
	// Describe says what this plugin is and what it asks for. Pure and cheap.
	Describe() Manifest
	// HealthCheck is a free request that proves that the credential works, or nil.
	HealthCheck(config string) *Request
	// Start is the first step for a query. An error that is no *Failure is an invalid request.
	Start(query Query) (Next, error)
	// Resume is the step after an event. An error that is no *Failure is a malformed response.
	Resume(state json.RawMessage, event Event) (Next, error)
}

// SingleFetch is a provider whose answer takes exactly one request.
type SingleFetch interface {
	Describe() Manifest
	// Request is the request that asks the query.
	Request(query Query) (Request, error)
	// Parse says what the response says. Called for every status, also for errors.
	Parse(query Query, response *Response) (Outcome, error)
}

// Single makes a Provider of a SingleFetch; the query itself is the state.
func Single(provider SingleFetch) Provider { return single{provider} }

type single struct{ SingleFetch }

func (s single) HealthCheck(config string) *Request {
	if checked, ok := s.SingleFetch.(interface{ HealthCheck(string) *Request }); ok {
		return checked.HealthCheck(config)
	}
	return nil
}

func (s single) Start(query Query) (Next, error) {
	request, err := s.Request(query)
	return Fetch{request, query}, err
}

func (s single) Resume(state json.RawMessage, event Event) (Next, error) {
	var query Query
	if err := json.Unmarshal(state, &query); err != nil {
		return nil, badState(err)
	}
	response, err := event.Reply()
	if err != nil {
		return nil, err
	}
	outcome, err := s.Parse(query, response)
	return Done{outcome}, err
}

// badState: only another version of the plugin can have written it, trying again would not help.
func badState(err error) *Failure {
	return Fail(InvalidRequest, fmt.Sprintf("state cannot be used: %v", err))
}

// failureOf makes a failure of any error.
func failureOf(err error, kind ErrorKind, status *uint16) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure
	}
	return &Failure{Kind: kind, Message: fmt.Sprintf("the plugin cannot go on: %v", err), HTTPStatus: status}
}
