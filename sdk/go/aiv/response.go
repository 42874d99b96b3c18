package aiv

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var seconds = regexp.MustCompile(`^\d{1,12}(\.\d+)?$`)

// IsSuccess is whether the status is 2xx.
func (r *Response) IsSuccess() bool { return r.Status >= 200 && r.Status < 300 }

// JSON is the body as JSON, or a malformed-response failure.
func (r *Response) JSON() (JSON, error) {
	if !r.IsText {
		return JSON{}, Malformed(r, "body is not text")
	}
	body, err := ParseJSON(strings.TrimLeft(r.Body, "\ufeff"))
	if err != nil {
		return JSON{}, Malformed(r, "body is not JSON: "+err.Error())
	}
	return body, nil
}

// Header is the first header of this name, in whatever case.
func (r *Response) Header(name string) string {
	for _, header := range r.Headers {
		if strings.EqualFold(header[0], name) {
			return strings.TrimSpace(header[1])
		}
	}
	return ""
}

// EventStream is whether the body is a stream of events. Gateways label a stream as JSON and the
// other way round, so the first sign goes before the label.
func (r *Response) EventStream() bool {
	start := strings.TrimLeft(r.Body, "\ufeff \t\r\n")
	for _, field := range []string{"data:", "event:", "id:", ":"} {
		if strings.HasPrefix(start, field) {
			return r.IsText
		}
	}
	label := strings.ToLower(r.Header("content-type"))
	return r.IsText && strings.HasPrefix(label, "text/event-stream") && !strings.HasPrefix(start, "{")
}

// RetryAfterMs is Retry-After in milliseconds, be it seconds or a date; nil without one.
func (r *Response) RetryAfterMs() *uint32 {
	value := r.Header("retry-after")
	if seconds.MatchString(value) {
		wait, _ := strconv.ParseFloat(value, 64)
		return milliseconds(wait)
	}
	date, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", value)
	if err != nil {
		return nil
	}
	return r.MsUntil(float64(date.Unix()))
}

// MsUntil is the time from the receipt of this response until a moment in Unix seconds.
func (r *Response) MsUntil(unixSeconds float64) *uint32 {
	return milliseconds(unixSeconds - r.ReceivedAt)
}

// milliseconds is never negative, and never more than the interface holds.
func milliseconds(seconds float64) *uint32 {
	value := uint32(min(max(math.Round(seconds*1000), 0), math.MaxUint32))
	return &value
}
