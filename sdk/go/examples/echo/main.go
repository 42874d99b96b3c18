// The smallest provider: it asks a service that echoes the prompt back. See the README for how it
// becomes a component.
package main

import (
	"strconv"
	"strings"

	"aiv-sdk/aiv"
	_ "aiv-sdk/wit/wit_exports"
)

// Echo is the provider.
type Echo struct{}

func init() { aiv.Export(aiv.Single(Echo{})) }

func main() {}

// Describe says what the plugin is and what it asks for.
func (Echo) Describe() aiv.Manifest {
	return aiv.Manifest{
		Key:         "echo",
		DisplayName: "Echo",
		Version:     "0.1.0",
		Description: "Answers with the prompt",
		Homepage:    "https://echo.example/docs",
		Hosts: []aiv.Host{{
			Name:        "echo.example",
			Credential:  "api-key",
			Variable:    "ECHO_API_KEY",
			Description: "A key of echo.example",
		}},
		Surfaces: []aiv.Surface{{
			ID:                  "echo",
			DisplayName:         "Echo",
			UsesLanguage:        true,
			TypicalCostMicroUSD: 100,
		}},
	}
}

// Request is the request that asks the query.
func (Echo) Request(query aiv.Query) (aiv.Request, error) {
	request := aiv.Request{
		URL:     "https://echo.example/v1/echo",
		Headers: []aiv.Pair{{Name: "authorization", Value: aiv.Prefixed("Bearer ", "api-key")}},
	}
	return request.With("q", query.Prompt).With("lang", query.PrimaryLanguage()), nil
}

// Parse says what the response says.
func (Echo) Parse(query aiv.Query, response *aiv.Response) (aiv.Outcome, error) {
	if !response.IsSuccess() {
		return nil, refused(response)
	}
	body, text, err := assembled(response)
	if err != nil {
		return nil, err
	}
	searches := body.Strings("/searches")
	searched := uint32(len(searches))
	meta := aiv.MetaOf(query)
	meta.ServedModel = body.String("/model")
	meta.RequestID = body.String("/id")
	meta.Finish = aiv.Stop
	meta.Retrieval = aiv.NotSearched
	if searched > 0 {
		meta.Retrieval = aiv.Searched
	}
	meta.Queries = searches
	meta.Usage = &aiv.Usage{
		InputTokens:  body.Uint("/usage/input"),
		OutputTokens: body.Uint("/usage/output"),
		Searches:     &searched,
	}
	meta.Cost = aiv.ReportedCost(body.Decimal("/usd"))
	if strings.TrimSpace(text) == "" {
		return aiv.NoAnswer{Reason: aiv.Empty, Meta: meta}, nil
	}
	var sources aiv.Citations
	for at, source := range body.Items("/sources") {
		kind, markers := aiv.Listed, []string(nil)
		if marker := strconv.Itoa(at + 1); strings.Contains(text, "["+marker+"]") {
			kind, markers = aiv.Cited, []string{marker}
		}
		sources.Add(kind, aiv.Citation{
			URL:     source.String("/url"),
			Title:   source.String("/title"),
			Markers: markers,
		})
	}
	sources.AddLinks(text)
	meta.Warnings = sources.Warnings()
	return aiv.Answer{Text: text, Citations: sources.List(), Meta: meta}, nil
}

// assembled is the body, also the one that a stream adds up to, and its text.
func assembled(response *aiv.Response) (aiv.JSON, string, error) {
	if !response.EventStream() {
		body, err := response.JSON()
		if err != nil {
			return body, "", err
		}
		text, ok := body.Text("/echo")
		if !ok {
			return body, "", aiv.Malformed(response, "no echo")
		}
		return body, text, nil
	}
	text := ""
	for _, event := range aiv.Events(response.Body) {
		data, err := aiv.ParseJSON(event.Data)
		if err != nil {
			return data, "", err
		}
		if done := data.At("/done"); done != (aiv.JSON{}) {
			return done, text, nil
		}
		text += data.String("/delta")
	}
	return aiv.JSON{}, "", aiv.Malformed(response, "the stream ends before the answer does")
}

func refused(response *aiv.Response) error {
	failure := aiv.Fail(aiv.KindOfStatus(response.Status), "the service refused").At(response)
	failure.RetryAfterMs = response.RetryAfterMs()
	if body, err := response.JSON(); err == nil {
		failure.ProviderCode = body.String("/error/code")
		if message := body.String("/error/message"); message != "" {
			failure.Message = message
		}
	}
	return failure
}
