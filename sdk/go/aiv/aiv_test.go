package aiv

import (
	"encoding/json"
	"reflect"
	"testing"

	"aiv-sdk/wit/aiv_provider_engine"
	"aiv-sdk/wit/aiv_provider_types"
)

func TestDecimalsAreReadExactlyAndRoundedHalfUp(t *testing.T) {
	for text, expected := range map[string]uint32{
		"0.03073":                         30730,
		"1e-05":                           10,
		"0.0000005":                       1,
		"0.00000049999999999999999999999": 0,
		"0.0012345":                       1235,
		"12":                              12000000,
		".5":                              500000,
		"5.":                              5000000,
		"0e99":                            0,
		"1e-400":                          0,
	} {
		if cost := ReportedCost(ParseDecimal(text)); cost == nil || cost.MicroUSD != expected {
			t.Errorf("%s is %v, not %d", text, cost, expected)
		}
	}
	for _, text := range []string{"", ".", "-1", "abc", "1.2.3", "1e", "1e99", "0x10", "NaN", "1e99999999"} {
		if number := ParseDecimal(text); number != nil {
			t.Errorf("%s is read as %v", text, number)
		}
	}
}

func TestAWrongTypeReadsAsAbsent(t *testing.T) {
	body, err := ParseJSON(`{"a": {"b": [1, "x", null, ""]}, "n": "7", "f": 3.0, "neg": -1}`)
	if err != nil {
		t.Fatal(err)
	}
	if body.String("/a/b/1") != "x" || body.String("/a") != "" || body.String("/a/b/9") != "" {
		t.Error("strings")
	}
	if !reflect.DeepEqual(body.Strings("/a/b"), []string{"x"}) || len(body.Items("/n")) != 0 {
		t.Error("lists")
	}
	if *body.Uint("/n") != 7 || *body.Uint("/f") != 3 || body.Uint("/neg") != nil {
		t.Error("numbers")
	}
	if _, err := ParseJSON("{} {}"); err == nil {
		t.Error("two values are read as one")
	}
}

func TestStreamsAreReadWhateverTheirLineEnds(t *testing.T) {
	expected := []StreamEvent{{"x", "a\nb"}, {"", " c"}}
	for _, end := range []string{"\n", "\r\n", "\r"} {
		body := ": hi" + end + end + "event: x" + end + "data: a" + end + "data: b" + end + end + "data:  c"
		if found := Events(body); !reflect.DeepEqual(found, expected) {
			t.Errorf("%q: %v", end, found)
		}
	}
}

func TestOnePageIsOneCitation(t *testing.T) {
	var sources Citations
	sources.Add(Listed, Citation{URL: "https://a.example/#:~:text=x", Markers: []string{"1"}})
	sources.Add(Listed, Citation{URL: "/relative"})
	sources.Add(Cited, Citation{URL: "https://A.example/?utm_source=openai", Title: "A", Markers: []string{"2"}})
	sources.AddLinks("[A](https://a.example/#x) [B](https://b.example/(y)) ![i](https://c.example)")
	expected := []Citation{
		{Position: 1, URL: "https://a.example/", Kind: Cited, Markers: []string{"1", "2"}, Title: "A"},
		{Position: 2, URL: "https://b.example/(y)", Kind: InlineLink, Title: "B"},
	}
	if !reflect.DeepEqual(sources.List(), expected) || len(sources.Warnings()) != 1 {
		t.Errorf("%v %v", sources.List(), sources.Warnings())
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	for value, expected := range map[string]uint32{
		"2":                             2000,
		"0.5":                           500,
		"Sun, 06 Nov 1994 08:49:40 GMT": 3000,
		"Sun, 06 Nov 1994 08:00:00 GMT": 0,
		"99999999999":                   0xffffffff,
	} {
		response := Response{Headers: [][2]string{{"Retry-After", value}}, ReceivedAt: 784111777}
		if wait := response.RetryAfterMs(); wait == nil || *wait != expected {
			t.Errorf("%s is %v, not %d", value, wait, expected)
		}
	}
	response := Response{Headers: [][2]string{{"retry-after", "soon"}}}
	if response.RetryAfterMs() != nil {
		t.Error("soon is read")
	}
}

// twice waits once, then panics on everything but the end of the pause.
type twice struct{}

func (twice) Describe() Manifest { return Manifest{} }

func (twice) HealthCheck(string) *Request { return nil }

func (twice) Start(query Query) (Next, error) { return Pause{5, query.Prompt}, nil }

func (twice) Resume(state json.RawMessage, event Event) (Next, error) {
	if !event.Resumed {
		panic("odd")
	}
	var text string
	err := json.Unmarshal(state, &text)
	return Done{Answer{Text: text}}, err
}

func TestTheStateSurvivesAPauseAndPanicsBecomeFailures(t *testing.T) {
	engine := adapter{twice{}}
	step := engine.Start(aiv_provider_engine.Query{Prompt: "«sûr» 🚲"})
	state := step.Pause().State
	done := engine.Resume(state, aiv_provider_engine.MakeEventResumed())
	if text := done.Done().Answered().Text; text != "«sûr» 🚲" {
		t.Error(text)
	}
	response := aiv_provider_types.HttpResponse{Status: 200, Body: aiv_provider_types.MakeBodyText("")}
	failed := engine.Resume(state, aiv_provider_engine.MakeEventResponse(response)).Failed()
	if failed.Kind != aiv_provider_types.ErrorKindMalformedResponse || failed.HttpStatus.Some() != 200 {
		t.Error(failed)
	}
	foreign := engine.Resume([]byte{255}, aiv_provider_engine.MakeEventResumed()).Failed()
	if foreign.Kind != aiv_provider_types.ErrorKindInvalidRequest {
		t.Error(foreign)
	}
}
