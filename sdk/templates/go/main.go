// Answers of Acme with their sources.
package main

import (
	"aiv-sdk/aiv"
	_ "aiv-sdk/wit/wit_exports"
)

// Acme is the provider.
type Acme struct{}

func init() { aiv.Export(aiv.Single(Acme{})) }

func main() {}

// Describe says what the plugin is and what it asks for.
func (Acme) Describe() aiv.Manifest {
	return aiv.Manifest{
		Key:         "acme",
		DisplayName: "Acme",
		Version:     "0.1.0",
		Description: "Answers of Acme with their sources",
		Hosts: []aiv.Host{{
			Name:        "api.acme.example",
			Credential:  "api-key",
			Variable:    "ACME_API_KEY",
			Description: "Key of the Acme API",
		}},
		Surfaces: []aiv.Surface{{
			ID:                  "acme",
			DisplayName:         "Acme",
			UsesLanguage:        true,
			TypicalCostMicroUSD: 2000,
		}},
	}
}

// Request is the request that asks the query.
func (Acme) Request(query aiv.Query) (aiv.Request, error) {
	request := aiv.Request{
		URL:     "https://api.acme.example/v1/ask",
		Headers: []aiv.Pair{{Name: "authorization", Value: aiv.Prefixed("Bearer ", "api-key")}},
	}
	return request.With("q", query.Prompt).With("lang", query.PrimaryLanguage()), nil
}

// Parse says what the response says.
func (Acme) Parse(query aiv.Query, response *aiv.Response) (aiv.Outcome, error) {
	if !response.IsSuccess() {
		failure := aiv.Fail(aiv.KindOfStatus(response.Status), "Acme refused").At(response)
		failure.RetryAfterMs = response.RetryAfterMs()
		return nil, failure
	}
	body, err := response.JSON()
	if err != nil {
		return nil, err
	}
	text, ok := body.Text("/answer")
	if !ok {
		return nil, aiv.Malformed(response, "no answer")
	}
	var sources aiv.Citations
	for _, page := range body.Items("/pages") {
		sources.Add(aiv.Cited, aiv.Citation{URL: page.String("/url"), Title: page.String("/title")})
	}
	meta := aiv.MetaOf(query)
	meta.Finish = aiv.Stop
	meta.Retrieval = aiv.Searched
	meta.Cost = aiv.ReportedCost(body.Decimal("/usd"))
	meta.Warnings = sources.Warnings()
	return aiv.Answer{Text: text, Citations: sources.List(), Meta: meta}, nil
}
