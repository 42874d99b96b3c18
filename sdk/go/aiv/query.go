package aiv

import (
	"encoding/json"
	"strings"
)

// ReadConfig reads the operator's settings into a struct.
func (q Query) ReadConfig(into any) error {
	text := strings.TrimSpace(q.Config)
	if text == "" {
		text = "{}"
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return Fail(InvalidRequest, "configuration cannot be used: "+err.Error())
	}
	return nil
}

// PrimaryLanguage is the primary subtag, lower-case: pt for pt-BR.
func (q Query) PrimaryLanguage() string {
	tag := strings.ReplaceAll(strings.TrimSpace(q.Language), "_", "-")
	primary, _, _ := strings.Cut(tag, "-")
	return strings.ToLower(primary)
}

// UpperCountry is the country, upper-case.
func (q Query) UpperCountry() string { return strings.ToUpper(strings.TrimSpace(q.Country)) }
