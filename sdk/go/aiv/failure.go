package aiv

// ErrorKind says what the host does next.
type ErrorKind uint8

// In the order of the interface.
const (
	InvalidRequest ErrorKind = iota
	Auth
	NotEntitled
	QuotaExhausted
	RateLimited
	ContentBlocked
	UpstreamUnavailable
	Timeout
	MalformedResponse
)

// Failure ends a query. Its message is for a person and holds no credential.
type Failure struct {
	Kind         ErrorKind
	Message      string
	HTTPStatus   *uint16
	ProviderCode string
	RetryAfterMs *uint32
	// Spent is money that is gone although there is no answer.
	Spent *Cost
}

func (f *Failure) Error() string { return f.Message }

// Fail is a failure of this kind.
func Fail(kind ErrorKind, message string) *Failure { return &Failure{Kind: kind, Message: message} }

// Malformed: the response has a shape that the plugin cannot read.
func Malformed(response *Response, message string) *Failure {
	return Fail(MalformedResponse, message).At(response)
}

// At notes the status of the response that told of the failure.
func (f *Failure) At(response *Response) *Failure {
	status := response.Status
	f.HTTPStatus = &status
	return f
}

// KindOfStatus is what a status alone tells, where the vendor's body says nothing better.
func KindOfStatus(status uint16) ErrorKind {
	switch {
	case status == 401 || status == 403:
		return Auth
	case status == 402:
		return QuotaExhausted
	case status == 408 || status == 524:
		return Timeout
	case status == 429:
		return RateLimited
	case status >= 400 && status < 500:
		return InvalidRequest
	case status >= 200 && status < 300:
		return MalformedResponse
	}
	return UpstreamUnavailable
}
