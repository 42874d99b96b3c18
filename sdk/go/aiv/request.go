package aiv

import "encoding/json"

// Value is text, or a credential that the host puts in at the last moment.
type Value struct {
	Text string
	// Credential is the name of the credential that follows the text.
	Credential string
}

// Text is a value without a credential.
func Text(text string) Value { return Value{Text: text} }

// Secret is the named credential, whole.
func Secret(name string) Value { return Value{Credential: name} }

// Prefixed is a literal prefix and then the named credential: Prefixed("Bearer ", "api-key").
func Prefixed(prefix, name string) Value { return Value{prefix, name} }

// Method is the method of a request.
type Method uint8

// In the order of the interface.
const (
	GET Method = iota
	POST
	PUT
	PATCH
	DELETE
	HEAD
)

// Pair is a query parameter or a header.
type Pair struct {
	Name  string
	Value Value
}

// Request goes to an absolute https URL without query.
type Request struct {
	Method  Method
	URL     string
	Query   []Pair
	Headers []Pair
	// JSON is sent as the body.
	JSON any
	// TimeoutMs is a wish, which the host clamps; 0 is none.
	TimeoutMs uint32
}

// With adds a query parameter, unless the text is empty.
func (r Request) With(name, text string) Request {
	if text != "" {
		r.Query = append(r.Query, Pair{name, Text(text)})
	}
	return r
}

func (r Request) body() ([]byte, error) {
	if r.JSON == nil {
		return nil, nil
	}
	return json.Marshal(r.JSON)
}
