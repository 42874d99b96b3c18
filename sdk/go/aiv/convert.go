package aiv

import (
	"slices"
	"strconv"

	"aiv-sdk/wit/aiv_provider_engine"
	"aiv-sdk/wit/aiv_provider_types"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

type pair = wit.Tuple2[string, string]

func option(text string) wit.Option[string] {
	if text == "" {
		return wit.None[string]()
	}
	return wit.Some(text)
}

func pointed[T any](value *T) wit.Option[T] {
	if value == nil {
		return wit.None[T]()
	}
	return wit.Some(*value)
}

func text(option wit.Option[string]) string {
	if option.Tag() == wit.OptionNone {
		return ""
	}
	return option.Some()
}

func toPairs(pairs [][2]string) []pair {
	made := make([]pair, len(pairs))
	for at, p := range pairs {
		made[at] = pair{F0: p[0], F1: p[1]}
	}
	return made
}

func fromPairs(pairs []pair) [][2]string {
	made := make([][2]string, len(pairs))
	for at, p := range pairs {
		made[at] = [2]string{p.F0, p.F1}
	}
	return made
}

func fromQuery(query aiv_provider_engine.Query) Query {
	return Query{
		ID:       query.Id,
		Prompt:   query.Prompt,
		Surface:  query.Surface,
		Model:    text(query.Model),
		Language: text(query.Language),
		Country:  text(query.Country),
		Location: text(query.Location),
		Device:   text(query.Device),
		Config:   query.Config,
		NowUnix:  query.NowUnix,
		Seed:     query.Seed,
		Extra:    fromPairs(query.Extra),
	}
}

func fromEvent(event aiv_provider_engine.Event) Event {
	switch event.Tag() {
	case aiv_provider_engine.EventResponse:
		response := event.Response()
		made := Response{
			Status:     response.Status,
			Headers:    fromPairs(response.Headers),
			ElapsedMs:  response.ElapsedMs,
			ReceivedAt: response.ReceivedAt,
		}
		if response.Body.Tag() == aiv_provider_types.BodyText {
			made.Body, made.IsText = response.Body.Text(), true
		} else {
			made.Body = string(response.Body.Binary())
		}
		return Event{Response: &made}
	case aiv_provider_engine.EventTransportError:
		return Event{TransportError: ofTransport(event.TransportError())}
	}
	return Event{Resumed: true}
}

// ofTransport is the failure that a transport error means.
func ofTransport(error aiv_provider_engine.TransportError) *Failure {
	switch error {
	case aiv_provider_engine.TransportErrorDns:
		return Fail(UpstreamUnavailable, "host name not resolved")
	case aiv_provider_engine.TransportErrorConnect:
		return Fail(UpstreamUnavailable, "connection refused")
	case aiv_provider_engine.TransportErrorTls:
		return Fail(UpstreamUnavailable, "no secure connection")
	case aiv_provider_engine.TransportErrorTimeout:
		return Fail(Timeout, "no response in time")
	case aiv_provider_engine.TransportErrorTooLarge:
		return Fail(MalformedResponse, "response too large")
	case aiv_provider_engine.TransportErrorRefusedByPolicy:
		return Fail(InvalidRequest, "request refused by the host's policy")
	}
	return Fail(UpstreamUnavailable, "connection lost")
}

func toValue(value Value) aiv_provider_types.Value {
	switch {
	case value.Credential == "":
		return aiv_provider_types.MakeValueText(value.Text)
	case value.Text == "":
		return aiv_provider_types.MakeValueSecret(value.Credential)
	}
	return aiv_provider_types.MakeValuePrefixedSecret(pair{F0: value.Text, F1: value.Credential})
}

func toValues(pairs []Pair) []wit.Tuple2[string, aiv_provider_types.Value] {
	made := make([]wit.Tuple2[string, aiv_provider_types.Value], len(pairs))
	for at, pair := range pairs {
		made[at].F0, made[at].F1 = pair.Name, toValue(pair.Value)
	}
	return made
}

func toRequest(request Request) (aiv_provider_types.HttpRequest, error) {
	json, err := request.body()
	headers := slices.Clone(request.Headers)
	body := wit.None[aiv_provider_types.Body]()
	if json != nil {
		headers = append(headers, Pair{"content-type", Text("application/json")})
		body = wit.Some(aiv_provider_types.MakeBodyText(string(json)))
	}
	timeout := wit.None[uint32]()
	if request.TimeoutMs > 0 {
		timeout = wit.Some(request.TimeoutMs)
	}
	return aiv_provider_types.HttpRequest{
		Method:    aiv_provider_types.HttpMethod(request.Method),
		Url:       request.URL,
		Query:     toValues(request.Query),
		Headers:   toValues(headers),
		Body:      body,
		TimeoutMs: timeout,
	}, err
}

func toManifest(manifest Manifest) aiv_provider_engine.Manifest {
	made := aiv_provider_engine.Manifest{
		Key:          manifest.Key,
		DisplayName:  manifest.DisplayName,
		Version:      manifest.Version,
		Description:  manifest.Description,
		Homepage:     option(manifest.Homepage),
		ConfigSchema: manifest.ConfigSchema,
	}
	if made.ConfigSchema == "" {
		made.ConfigSchema = `{"type":"object"}`
	}
	extra := slices.Clone(manifest.Extra)
	for _, host := range manifest.Hosts {
		made.AllowedHosts = append(made.AllowedHosts, host.Name)
		if host.Credential == "" {
			continue
		}
		isSame := func(c aiv_provider_engine.CredentialRequest) bool { return c.Name == host.Credential }
		if at := slices.IndexFunc(made.Credentials, isSame); at >= 0 {
			made.Credentials[at].Hosts = append(made.Credentials[at].Hosts, host.Name)
			continue
		}
		made.Credentials = append(made.Credentials, aiv_provider_engine.CredentialRequest{
			Name:        host.Credential,
			Description: host.Description,
			Hosts:       []string{host.Name},
		})
		if host.Variable != "" {
			extra = append(extra, [2]string{"env", host.Credential + "=" + host.Variable})
		}
	}
	made.Extra = toPairs(extra)
	for _, surface := range manifest.Surfaces {
		made.Surfaces = append(made.Surfaces, toSurface(surface))
	}
	return made
}

func toSurface(surface Surface) aiv_provider_engine.Surface {
	or := func(value, otherwise uint32) uint32 {
		if value == 0 {
			return otherwise
		}
		return value
	}
	rate := surface.RequestsPerSecond
	if rate == 0 {
		rate = 1
	}
	return aiv_provider_engine.Surface{
		Id:           surface.ID,
		DisplayName:  surface.DisplayName,
		Models:       surface.Models,
		DefaultModel: option(surface.DefaultModel),
		Context: aiv_provider_engine.ContextSupport{
			Language: surface.UsesLanguage,
			Country:  surface.UsesCountry,
			City:     surface.UsesCity,
			Device:   surface.UsesDevice,
		},
		ListedIsVisible:     surface.ListedIsVisible,
		TypicalCostMicroUsd: surface.TypicalCostMicroUSD,
		MaxFetches:          or(surface.MaxFetches, 1),
		RequestsPerSecond:   rate,
		Burst:               or(surface.Burst, 1),
		DeadlineMs:          or(surface.DeadlineMs, 60_000),
	}
}

func toFailure(failure *Failure) aiv_provider_types.Failure {
	return aiv_provider_types.Failure{
		Kind:         aiv_provider_types.ErrorKind(failure.Kind),
		Message:      failure.Message,
		HttpStatus:   pointed(failure.HTTPStatus),
		ProviderCode: option(failure.ProviderCode),
		RetryAfterMs: pointed(failure.RetryAfterMs),
		Spent:        toCost(failure.Spent),
	}
}

func toCost(cost *Cost) wit.Option[aiv_provider_types.Cost] {
	if cost == nil {
		return wit.None[aiv_provider_types.Cost]()
	}
	basis := aiv_provider_types.CostBasis(cost.Basis)
	return wit.Some(aiv_provider_types.Cost{MicroUsd: cost.MicroUSD, Basis: basis})
}

func toOutcome(outcome Outcome) aiv_provider_types.Outcome {
	if absent, ok := outcome.(NoAnswer); ok {
		return aiv_provider_types.MakeOutcomeAbsent(aiv_provider_types.NoAnswer{
			Reason: aiv_provider_types.Absence(absent.Reason),
			Meta:   toMeta(absent.Meta),
		})
	}
	answer := outcome.(Answer)
	made := aiv_provider_types.Answer{
		Text:             answer.Text,
		RelatedQuestions: answer.RelatedQuestions,
		Meta:             toMeta(answer.Meta),
	}
	for _, citation := range answer.Citations {
		made.Citations = append(made.Citations, aiv_provider_types.Citation{
			Position:  citation.Position,
			Url:       citation.URL,
			Title:     option(citation.Title),
			Snippet:   option(citation.Snippet),
			Published: option(citation.Published),
			Kind:      aiv_provider_types.CitationKind(citation.Kind),
			Markers:   citation.Markers,
		})
	}
	return aiv_provider_types.MakeOutcomeAnswered(made)
}

func toMeta(meta Meta) aiv_provider_types.Meta {
	extra := slices.Clone(meta.Extra)
	usage := wit.None[aiv_provider_types.Usage]()
	if u := meta.Usage; u != nil {
		usage = wit.Some(aiv_provider_types.Usage{
			InputTokens:       pointed(u.InputTokens),
			OutputTokens:      pointed(u.OutputTokens),
			CachedInputTokens: pointed(u.CachedInputTokens),
			ReasoningTokens:   pointed(u.ReasoningTokens),
			Searches:          pointed(u.Searches),
		})
		sums := u.InputTokens != nil && u.OutputTokens != nil && meta.TotalTokens != nil &&
			*u.InputTokens+*u.OutputTokens == *meta.TotalTokens
		if meta.TotalTokens != nil && !sums {
			total := strconv.FormatUint(uint64(*meta.TotalTokens), 10)
			extra = append(extra, [2]string{"total-tokens", total})
		}
	}
	var queries []string
	for _, query := range meta.Queries {
		if !slices.Contains(queries, query) {
			queries = append(queries, query)
		}
	}
	return aiv_provider_types.Meta{
		Surface:        meta.Surface,
		RequestedModel: option(meta.RequestedModel),
		ServedModel:    option(meta.ServedModel),
		RequestId:      option(meta.RequestID),
		Finish:         aiv_provider_types.FinishReason(meta.Finish),
		Retrieval:      aiv_provider_types.Retrieval(meta.Retrieval),
		Queries:        queries,
		Usage:          usage,
		Cost:           toCost(meta.Cost),
		LocationUsed:   option(meta.LocationUsed),
		Warnings:       meta.Warnings,
		Extra:          toPairs(extra),
	}
}
